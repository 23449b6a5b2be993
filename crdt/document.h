/// @file
/// One document: names, causal graph and state, with changes made here and changes that arrive.
/// Pure: no I/O, clock, thread or randomness; the same changes give the same bytes.
#pragma once

#include "base/plain.h"
#include "base/result.h"
#include "crdt/apply.h"
#include "crdt/canonical.h"
#include "crdt/graph.h"
#include "crdt/live.h"
#include "crdt/live_view.h"
#include "crdt/state.h"

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::crdt {

class Transaction;

/// What became of the changes of a batch.
struct ApplyReport {
    std::size_t applied = 0;    ///< Changes that were new.
    std::size_t duplicate = 0;  ///< Changes that were there already.
};

class Document {
  public:
    /// Finds the hash of a change that the document no longer remembers; `not_found` if unknown.
    using HashSource = std::function<Result<ChangeHash>(const ActorId& actor, std::uint64_t seq)>;

    /// An empty document. @p id is 1 to kKeySizeMax bytes of UTF-8.
    explicit Document(std::string id);
    Document(const Document&) = delete;
    Document& operator=(const Document&) = delete;

    const std::string& id() const noexcept { return id_; }
    Names& names() noexcept { return names_; }
    const Names& names() const noexcept { return names_; }
    const Graph& graph() const noexcept { return graph_; }
    const State& state() const noexcept { return state_; }

    /// Used when a dependency's hash is older than what the document remembers (64 a chain).
    void set_hash_source(HashSource source) { hash_source_ = std::move(source); }

    /// The hash of change @p seq of @p chain; `not_found` if it is neither remembered nor known to
    /// the hash source.
    Result<ChangeHash> hash_of(ChainIndex chain, std::uint64_t seq) const;

    /// The same where it is remembered; none where only the source could have it.
    std::optional<ChangeHash> remembered_hash(ChainIndex chain, std::uint64_t seq) const;

    /// Checks that the changes of @p batch may be applied now, without applying them, and gives
    /// their chain hashes in order; duplicates have a zero hash. Borrowed until the next check().
    ///
    /// @return `not_found` with `at` = index of the first change whose predecessor or dependency is
    ///         missing; `malformed` for a seq or counter that cannot be; `over_limit`; `conflict`
    ///         if the batch has links: only a ForkedDocument takes those.
    Result<std::span<const ChangeHash>> check(const Batch& batch);

    /// Applies the changes of @p batch, whose hashes check() gave. All or none: on an Error the
    /// document is as it was. The caller has verified the seals over the hashes.
    Result<ApplyReport> apply(const Batch& batch, std::span<const ChangeHash> hashes);

    /// Whether apply() would take the changes: an Error as it would give. Nothing is changed.
    Result<void> try_apply(const Batch& batch, std::span<const ChangeHash> hashes);

    /// The local changes committed since the last call, with their hashes; moved out.
    struct Outgoing {
        Batch batch;
        std::vector<ChangeHash> hashes;
    };
    const Outgoing& outgoing() const noexcept { return outgoing_; }
    /// Forgets outgoing(), keeping its memory for the next changes.
    void clear_outgoing() {
        outgoing_.batch.clear();
        outgoing_.hashes.clear();
    }

    /// The digest of what the document shows (rules D).
    /// @par Cost
    /// What changed since the last call: of each touched container the touched chunks, of about 32
    /// entries, are hashed again, and what leads from them to the root.
    Digest digest();

    /// What @p shown is as plain data, and the whole document.
    Plain read(const Shown& shown, Lanes lanes = Lanes::all) const;
    PlainObject read_root(Lanes lanes = Lanes::all) const;
    /// What key @p key of @p map shows, a live value where nothing else (rule I3).
    Shown shown_at(ContainerIndex map, std::string_view key, Lanes lanes = Lanes::all) const;

    /// The live registers (rules I2 to I10): beside the changes, in no digest or snapshot.
    const Live& live() const noexcept { return live_; }
    Live& live() noexcept { return live_; }
    /// The live registers that changed in maps that are known here, found for patches_of(); their
    /// maps count as touched. Borrows from live().
    std::vector<LiveTouch> touch_live();

    /// Starts noting what slots showed, for patches; see crdt/patch.h.
    void set_recording(bool on) {
        state_.set_recording(on);
        live_.set_recording(on);
    }
    State& mutable_state() noexcept { return state_; }

    std::size_t memory_size() const noexcept;

  private:
    friend class Transaction;
    friend class SnapshotLoader;

    /// The hashes of a chain's last changes: dependencies are nearly always among them.
    struct RecentHashes {
        static constexpr std::size_t kCount = 64;
        std::vector<ChangeHash> ring;
    };

    Result<ApplyReport> apply(const Batch& batch, std::span<const ChangeHash> hashes, bool is_kept);
    void remember_hash(ChainIndex chain, std::uint64_t seq, const ChangeHash& hash);
    Result<ChangeHash> previous_hash(ChainIndex chain, std::uint64_t seq) const;
    void remember_hashes(const Batch& batch, std::span<const ChangeHash> hashes);
    const Digest& container_digest(ContainerIndex container);
    void refresh_digests_in(ContainerIndex container);
    void refresh_digests_beneath(SlotIndex slot);

    std::string id_;
    Names names_;
    Graph graph_;
    State state_;
    Live live_;
    ContainerFinder finder_;
    ChangeHasher hasher_;
    std::vector<RecentHashes> recent_;
    HashSource hash_source_;
    Outgoing outgoing_;
    std::vector<ChangeHash> dependency_hashes_;
    std::vector<ChangeHash> checked_hashes_;
    Bytes digest_input_;
    bool transaction_open_ = false;
};

}  // namespace joinery::crdt
