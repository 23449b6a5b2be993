/// @file
/// Random histories: replicas that make changes, lose, repeat and reorder what they tell each
/// other, and are compared with tests/model all the while. The randomness comes from a Source, so
/// one body serves the unit tests (a seed) and a fuzzer (its bytes).
#pragma once

#include "crdt/codec.h"
#include "crdt/document.h"
#include "crdt/transaction.h"
#include "model/model.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::crdt::test {

class Source {
  public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;

    /// A number below @p limit, which is at least 1.
    virtual std::size_t below(std::size_t limit) = 0;
    bool chance(std::size_t percent) { return below(100) < percent; }
    /// Of a span or braces' list of constants.
    template <class T>
    const T& pick(const std::vector<T>& items) {
        return items[below(items.size())];
    }
};

/// Splitmix64 from a seed.
class SeededSource final : public Source {
  public:
    explicit SeededSource(std::uint64_t seed) : state_(seed) {}
    std::size_t below(std::size_t limit) override;

  private:
    std::uint64_t state_;
};

/// A fuzzer's bytes; zeros after their end.
class BytesSource final : public Source {
  public:
    explicit BytesSource(ByteView bytes) : bytes_(bytes) {}
    std::size_t below(std::size_t limit) override;
    bool is_empty() const { return bytes_.empty(); }

  private:
    ByteView bytes_;
};

/// What a history is mostly made of.
enum class Theme : std::uint8_t { registers, maps, counters, lists, nested };
inline constexpr std::size_t kThemeCount = 5;
std::string_view theme_name(Theme theme);

/// Both ends of one stream of encoded changes, and what the reader would write itself.
struct Stream {
    EncoderDictionary writer;
    DecoderDictionary reader;
    EncoderDictionary mirror;
};

/// One document with its writers.
struct Replica {
    std::unique_ptr<Document> document;
    std::vector<ActorId> actors;
    std::int64_t skew_ms = 0;
    std::map<ActorId, std::uint64_t> known;  // Last seq by actor.
    Stream from_log, to_log;
};

/// A change as all replicas know it.
struct Logged {
    ActorId actor;
    std::uint64_t seq = 0;
    std::map<ActorId, std::uint64_t> clock;  // What it saw: last seq by actor, itself included.
    ChangeHash hash;
};

class RandomHistory {
  public:
    RandomHistory(Source& source, Theme theme);

    /// Makes @p steps random changes, aborts and deliveries, with comparisons among them.
    void run(std::size_t steps);
    /// Delivers all to all, then demands that all are alike and like the model.
    void finish();
    /// Delivers all to a fresh document in a random order, which must come out alike.
    void replay();
    /// A fresh document that knows the first @p count changes of the log.
    std::unique_ptr<Document> make_document(std::size_t count);

    /// What went wrong first, with the history that led there; empty if nothing did.
    const std::string& fault() const { return fault_; }
    const std::vector<Replica>& replicas() const { return replicas_; }
    /// All changes in the order in which they were made.
    const std::vector<Logged>& log() const { return log_; }
    const Names& log_names() const { return names_; }
    const Batch& log_batch() const { return batch_; }
    std::string describe() const;

  private:
    friend class RandomEdit;

    void require(bool holds, std::string_view what);
    void edit(Replica& replica);
    void edit_raw(Replica& replica);
    void abort_edit(Replica& replica);
    std::int64_t now(const Replica& replica);
    void note_local(Replica& replica, const Batch& batch, std::span<const ChangeHash> hashes);
    void log_change(Replica& replica, const ChangeHash& hash);

    void sync(Replica& replica);
    std::vector<std::size_t> choose_unknown(const Replica& replica);
    std::vector<std::size_t> in_causal_order(const std::map<ActorId, std::uint64_t>& known,
                                             std::vector<std::size_t> wanted);
    void deliver(Replica& replica, const std::vector<std::size_t>& order);
    void deliver_batch(Replica& replica, std::span<const std::size_t> part);
    void transfer(const Names& from, const Batch& batch, Names& to, Batch& out, Stream& stream);
    void compare_with_model(Replica& replica);
    Replica make_replica();

    Source& source_;
    Theme theme_;
    std::vector<Replica> replicas_;
    std::int64_t clock_ms_ = 1'000'000;
    Names names_;  // Of the log.
    Batch batch_;  // All changes, by names_.
    std::vector<Logged> log_;
    std::map<std::pair<ActorId, std::uint64_t>, std::size_t> log_index_;
    std::map<Digest, std::string> dump_of_;
    std::map<std::string, Digest> digest_of_;
    std::string fault_;
};

/// Random verbs on a transaction.
class RandomEdit {
  public:
    RandomEdit(RandomHistory& history, Transaction& transaction)
        : source_(history.source_),
          theme_(history.theme_),
          transaction_(transaction),
          document_(transaction.document()) {}

    void verb();
    ContainerIndex pick_container(Kind kind);
    std::uint32_t pick_slot(ContainerIndex container);
    Value pick_value();
    Kind pick_kind();

  private:
    void edit_map();
    void edit_list();
    void edit_counter();
    void edit_slot(ContainerIndex container, std::uint32_t key);
    void insert(ContainerIndex list);
    void invalid();
    bool is_usable(ContainerIndex container) const;
    ContainerIndex walk_to(Kind kind);

    Source& source_;
    Theme theme_;
    Transaction& transaction_;
    Document& document_;
};

/// A change made of exactly the given operations, past the policies of Transaction: without its
/// erases and no-ops, or without any operation. It depends on all that @p document knows. Erases
/// get the cells that the document shows now (N4).
Batch raw_change(Document& document,
                 const ActorId& actor,
                 std::int64_t time_ms,
                 const std::vector<Op>& ops);
/// A put, make (@p made is not none) or erase for raw_change(); the stamp follows R3.
Op raw_op(const Document& document,
          OpKind kind,
          ContainerIndex container,
          std::uint32_t key,
          std::int64_t time_ms,
          Kind made = Kind::none,
          const Value& value = Value());

/// How many iterations to make of @p count: JOINERY_ITERATIONS multiplies.
std::size_t iterations(std::size_t count);
/// Seeds to run: JOINERY_SEED alone if set; else those of tests/regress/crdt_seeds.txt for @p
/// theme, then
/// @p count fixed ones.
std::vector<std::uint64_t> seeds_for(Theme theme, std::size_t count);

}  // namespace joinery::crdt::test
