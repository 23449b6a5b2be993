/// @file
/// A session::Host in memory over real documents: what tests and the simulator put beneath a
/// Session. Every change is kept in order of arrival and found by walking all of them.
#pragma once

#include "crdt/batch.h"
#include "crdt/codec.h"
#include "crdt/document.h"
#include "crdt/hash.h"
#include "crdt/seal.h"
#include "session/host.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joinery::test {

class FakeHost;

/// The presence in a document, at the time that its host has.
class FakePresence final : public session::PresencePort {
  public:
    FakePresence(FakeHost& host, std::string id);

    void set(std::string_view key,
             Value value,
             std::chrono::milliseconds time_to_live = kPresenceTimeDefault);
    void clear(std::string_view key);
    std::uint32_t join(const PeerRun& run, std::string_view name) override {
        return board.join(run, name);
    }
    void leave(std::uint32_t link) override;
    session::PresenceReceived receive(std::span<const session::PresenceItem> items,
                                      std::uint32_t link) override;
    bool has_news(std::uint64_t version) const override { return board.has_news(version); }
    std::vector<session::PresenceItem> collect(session::PresenceCursor& cursor,
                                               std::size_t size_max) override;
    std::optional<MonotonicTime> tend() override;

    session::PresenceBoard board;

  private:
    void note();

    FakeHost& host_;
    std::string id_;
};

class FakeDocument : public session::DocumentPort {
  public:
    FakeDocument(FakeHost& host, std::string id);

    const std::string& id() const override { return document_.id(); }
    session::Frontier frontier() const override;
    std::optional<Digest> digest() const override;
    Result<Missing> encode_missing(session::Frontier& theirs,
                                   crdt::EncoderDictionary& dictionary,
                                   std::size_t size_max) override;
    Result<Received> receive(ByteView changes,
                             crdt::DecoderDictionary& dictionary,
                             std::span<const crdt::Seal> seals) override;
    session::Frontier durable_frontier() const override;

    LiveState live_state() const override;
    crdt::LiveMarks live_marks() const override { return document_.live().marks(); }
    LivePart collect_live(crdt::LiveCursor& cursor, std::size_t size_max) const override;
    Result<std::size_t> receive_live(std::span<const crdt::LiveBatch> batches,
                                     std::uint32_t origin) override;
    std::uint32_t new_live_origin() override { return ++last_origin_; }
    FakePresence* presence() override { return &presence_; }

    crdt::Document& document() { return document_; }
    std::size_t change_count() const { return log_.changes.size(); }

    /// Answers a wrong digest from now on.
    bool lies = false;
    /// The next receive() fails with this.
    std::optional<Error> next_failure;
    /// Forgets, in what it says of itself, the last chain's changes: the next sender sends them
    /// again.
    bool understates = false;

  private:
    friend class FakeHost;

    /// Seals what was committed last and puts it into the log.
    void take_local();
    session::Frontier frontier_at(std::size_t count) const;
    Result<void> check_seals(const crdt::Batch& batch,
                             std::span<const ChangeHash> hashes,
                             std::span<const crdt::Seal> seals) const;
    void settle();

    FakeHost& host_;
    FakePresence presence_;
    std::uint32_t last_origin_ = 0;
    mutable crdt::Document document_;
    crdt::Batch log_;
    std::vector<ChangeHash> hashes_;
    std::size_t stored_ = 0;   ///< Changes of log_ that others may learn of.
    std::size_t durable_ = 0;  ///< Changes of log_ that are durable.
    std::map<std::pair<ActorId, std::uint64_t>, crdt::Seal> seals_;
};

class FakeHost : public session::Host {
  public:
    /// Its device, and all that it makes, follow from @p seed.
    explicit FakeHost(std::uint8_t seed);

    /// Writes live values of the root, sealed at once: @p count keys "@p prefix<number>" become
    /// @p value.
    void write_live(std::string_view id,
                    std::size_t count,
                    std::string_view prefix,
                    std::int64_t value);

    std::vector<std::string> documents() const override;
    Result<session::DocumentPort*> find(std::string_view id) override;
    Result<session::DocumentPort*> document(std::string_view id) override;

    FakeDocument& at(std::string_view id);
    /// One change, sealed: @p key of the root becomes @p value.
    void put(std::string_view id, std::string_view key, std::string_view value);
    /// One change of @p count puts.
    void put_many(std::string_view id, std::size_t count, std::string_view prefix);
    void increment(std::string_view id, std::string_view key, std::int64_t delta);

    /// Whether changes are stored as they come; else they wait for store(), as behind a writer
    /// thread.
    bool stores_at_once = true;
    /// Whether what is stored is durable; else that waits for make_durable().
    bool is_durable_at_once = true;
    void store();
    void make_durable();
    /// Called with the id whenever the frontier, durable frontier or digest of a document changed.
    std::function<void(const std::string&)> on_changed;
    /// Called with the id whenever somebody's presence in a document changed.
    std::function<void(const std::string&)> on_presence;
    /// What the time is for presence.
    MonotonicTime now{0};
    /// Lets the time of all presence come.
    void tend_presence();
    PeerRun run() const;

    const crdt::ActorProof& proof() const { return proof_; }
    const crdt::SigningKey& key() const { return *key_; }
    ActorId actor() const { return crdt::actor_of(proof_); }
    /// All changes of all documents.
    std::size_t change_count() const;
    /// Digests of all documents that have changes.
    std::map<std::string, Digest> digests();
    /// Starts a second life of the device: a fresh actor, as after a restart.
    void renew_actor();
    /// Makes this host write as @p other does: how forks come about.
    void impersonate(const FakeHost& other);

  private:
    friend class FakeDocument;

    void settle(FakeDocument& document);

    std::unique_ptr<crdt::SigningKey> key_;
    crdt::ActorProof proof_;
    std::uint8_t seed_;
    std::int64_t time_ms_ = 1'700'000'000'000;
    std::map<std::string, std::unique_ptr<FakeDocument>, std::less<>> documents_;
};

}  // namespace joinery::test
