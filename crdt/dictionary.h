/// @file
/// The numbers that stand for names in encoded changes. One dictionary serves one stream: a
/// session's messages in one direction, or one block on disk. Both ends add entries in the same
/// order, so a name crosses once and is one or two bytes from then on.
#pragma once

#include "base/int128.h"
#include "crdt/names.h"

#include <cstdint>
#include <map>
#include <vector>

namespace joinery::crdt {

/// What both ends know about an actor's changes in the stream: what the next one will be numbered.
struct ActorProgress {
    std::uint64_t last_seq = 0;
    std::uint64_t next_counter = 0;  ///< 0: no change of the actor was in the stream yet.
};

/// What both ends know about an actor's increments of one counter in the stream.
struct RunProgress {
    std::uint64_t origin = 0;
    std::uint64_t last = 0;
    Int128 total = 0;
};

/// What encoder and decoder predict from; equal on both ends after each batch.
struct StreamProgress {
    std::int64_t last_time_ms = 0;
    std::vector<ActorProgress> actors;  // By reference.
    /// By (ContainerIndex of the end's own Names, actor reference).
    std::map<std::pair<ContainerIndex, std::uint32_t>, RunProgress> runs;
};

/// The encoder's side: from a document's indices to references.
class EncoderDictionary {
  public:
    StreamProgress progress;

    std::uint32_t actor_count() const noexcept { return actor_count_; }
    std::uint32_t size() const noexcept { return actor_count_ + key_count_ + path_count_; }
    /// Whether nothing was written with it yet.
    bool is_fresh() const noexcept { return size() == 0; }
    /// Forgets everything; the next batch tells the decoder to do so too.
    void reset() { *this = EncoderDictionary(); }

  private:
    friend class NameWriter;
    // By document index; kNone where the name has no reference yet.
    std::vector<std::uint32_t> actors_, keys_, containers_, elements_;
    std::uint32_t actor_count_ = 0, key_count_ = 0, path_count_ = 0;
    // Scratch of NameWriter: the names that are new in the batch being written.
    std::vector<ChainIndex> new_actors_;
    std::vector<KeyIndex> new_keys_;
    Bytes new_paths_;
};

/// The decoder's side: from references to a document's indices.
class DecoderDictionary {
  public:
    StreamProgress progress;

    /// A container or an element.
    struct Path {
        bool is_element;
        std::uint32_t index;
    };
    void reset() { *this = DecoderDictionary(); }

    std::vector<ChainIndex> actors;
    std::vector<KeyIndex> keys;
    std::vector<Path> paths;
};

}  // namespace joinery::crdt
