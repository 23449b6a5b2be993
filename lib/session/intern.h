/// @file
/// Names that cross once in a session and are a small number from then on: actors, proofs of seals.
/// Both ends keep the last kInternCount of them, so that no session makes either end keep more.
///
/// On the wire a name is a varint: 0, then the name itself, which takes the next place; else 1 +
/// its place. Places go round: after the last comes the first again, and what stood there is
/// forgotten.
#pragma once

#include "base/bytes.h"
#include "crdt/seal.h"

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

namespace joinery::session {

inline constexpr std::uint32_t kInternCount = 4096;

/// An ActorProof in an order.
struct ProofKey {
    crdt::ActorProof proof;
    friend bool operator<(const ProofKey& a, const ProofKey& b) {
        const auto key = [](const crdt::ActorProof& p) {
            return std::tie(p.device, p.incarnation, p.writer_slot, p.writer_generation);
        };
        return key(a.proof) < key(b.proof);
    }
};

/// The sender's end: from names to places. With each goes the last seq that was sent of it.
template <class Key>
class SentNames {
  public:
    struct Entry {
        std::uint32_t place = 0;
        std::uint64_t last_seq = 0;
    };
    /// The entry of @p key, or nullptr; it stays valid until the next add().
    Entry* find(const Key& key) {
        const auto at = entries_.find(key);
        return at != entries_.end() ? &at->second : nullptr;
    }
    /// Gives @p key, which has none, the next place.
    Entry& add(const Key& key) {
        if (keys_.size() < kInternCount) {
            keys_.push_back(key);
        } else {
            entries_.erase(keys_[next_]);
            keys_[next_] = key;
        }
        const std::uint32_t place = next_;
        next_ = (next_ + 1) % kInternCount;
        return entries_[key] = Entry{place, 0};
    }
    std::size_t size() const noexcept { return keys_.size(); }

  private:
    std::map<Key, Entry> entries_;
    std::vector<Key> keys_;  // By place.
    std::uint32_t next_ = 0;
};

/// The receiver's end: from places to names.
template <class Entry>
class ReceivedNames {
  public:
    /// The entry at @p place; nullptr if there is none.
    Entry* at(std::uint64_t place) {
        return place < entries_.size() ? &entries_[static_cast<std::size_t>(place)] : nullptr;
    }
    Entry& add(const Entry& entry) {
        if (entries_.size() < kInternCount) {
            entries_.push_back(entry);
        } else {
            entries_[next_] = entry;
        }
        Entry& added = entries_[next_];
        next_ = (next_ + 1) % kInternCount;
        return added;
    }
    std::size_t size() const noexcept { return entries_.size(); }

  private:
    std::vector<Entry> entries_;  // By place.
    std::uint32_t next_ = 0;
};

}  // namespace joinery::session
