/// @file
/// One replica of a benchmark document in memory: the core as the engine drives it, without store
/// and threads.
#pragma once

#include "bench/streams.h"
#include "crdt/codec.h"
#include "crdt/document.h"
#include "session/messages.h"

#include <memory>
#include <vector>

namespace joinery::bench {

enum class Shape : std::uint8_t { map, counter, list };

/// A document before the workload: 1,000 empty widgets, 100 counters or an empty list.
struct Base {
    Bytes changes;   ///< One batch, encoded.
    Bytes snapshot;  ///< The same document.
};
Base make_base(Shape shape);

/// What a replica does with its changes after each commit.
enum class Sends : std::uint8_t {
    nothing,   ///< They are dropped, as once a store has them.
    messages,  ///< Each commit becomes a session's message without a seal.
    later,     ///< They are kept in memory for since().
};

class Replica {
  public:
    /// @param actor  A small number that its actor is made of.
    Replica(Shape shape, const Base& base, std::uint32_t actor);

    /// Makes @p ops, a commit for each @p every of them.
    template <class Op>
    void write(const std::vector<Op>& ops, std::size_t count, std::size_t every, Sends sends);
    const std::vector<Bytes>& messages() const noexcept { return messages_; }

    /// All that was written with Sends::later, encoded as one stream of batches.
    std::vector<Bytes> since() const;

    /// Takes messages one by one, or all that wait in groups, each all or none. Aborts on one that
    /// is refused.
    void apply_each(const std::vector<Bytes>& messages);
    void apply_backlog(const std::vector<Bytes>& messages);
    /// Takes the batches of one stream, each whole.
    void apply_stream(const std::vector<Bytes>& stream);
    /// Takes many streams that came at once, one after the other, each batch whole, as a session
    /// takes what waits for it.
    void apply_streams(const std::vector<std::vector<Bytes>>& streams);
    /// Takes the batches of many streams as one, all or none.
    void apply_atomically(const std::vector<std::vector<Bytes>>& streams);

    crdt::Document& document() noexcept { return *document_; }
    Plain all() const { return {document_->read_root()}; }

  private:
    void put(crdt::Transaction& transaction, const MapOp& op);
    void put(crdt::Transaction& transaction, const CounterOp& op);
    void put(crdt::Transaction& transaction, const ListOp& op);
    void send(Sends sends);
    void apply(const crdt::Batch& batch);
    void decode_message(const Bytes& message, crdt::Batch& batch);

    std::unique_ptr<crdt::Document> document_;
    crdt::ChainIndex chain_ = 0;
    std::vector<crdt::ContainerIndex> handles_;
    std::vector<crdt::KeyIndex> keys_;
    WallTime now_{1'700'000'000'000};
    crdt::EncoderDictionary encoder_;
    crdt::DecoderDictionary decoder_;
    session::MessageWriter writer_;
    session::MessageReader reader_;
    Bytes changes_;
    crdt::Batch batch_;
    std::vector<Bytes> messages_;
};

/// The document of @p bytes, a snapshot; aborts if it is none.
std::unique_ptr<crdt::Document> load_snapshot(const Bytes& bytes);

}  // namespace joinery::bench
