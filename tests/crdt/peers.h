/// @file
/// Peers for small examples: each verb is one change; hear() carries changes over, encoded one by
/// one.
#pragma once

#include "crdt/codec.h"
#include "crdt/document.h"
#include "crdt/transaction.h"
#include "model/from_crdt.h"

#include <gtest/gtest.h>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joinery::crdt::test {

/// The actor of a letter; actors are ordered as their letters.
inline ActorId actor_of(char letter) {
    ActorId actor;
    actor.bytes[0] = static_cast<std::uint8_t>(letter);
    return actor;
}

/// Change @p index of @p batch alone, as the first of a stream.
inline Bytes encoded(const Names& names, const Batch& batch, std::size_t index) {
    Bytes bytes;
    EncoderDictionary dictionary;
    encode_changes(names, batch, index, index + 1, dictionary, bytes);
    return bytes;
}

/// Applies the changes of @p bytes, which open a stream, as any peer does.
inline void give(Document& document, ByteView bytes) {
    DecoderDictionary dictionary;
    Batch batch;
    ASSERT_TRUE(decode_changes(bytes, document.names(), dictionary, batch));
    const auto hashes = document.check(batch);
    ASSERT_TRUE(hashes);
    ASSERT_TRUE(document.apply(batch, *hashes));
}

class Peer {
  public:
    explicit Peer(char letter) : actor_(actor_of(letter)), document_("doc") {}

    Document& document() { return document_; }
    const ActorId& actor() const { return actor_; }
    /// Sets the clock for the changes to come.
    Peer& at(std::int64_t time_ms) {
        time_ms_ = time_ms;
        return *this;
    }

    // --- Changes: paths are keys of maps with dots between -------------------------------------

    /// The container of @p kind at @p path; the root map for no path.
    ContainerIndex container(std::string_view path, Kind kind) {
        if (path.empty()) return kRoot;
        const auto [parent, key] = slot(path);
        return document_.names().intern_container(parent, key, kind);
    }
    /// One change of what @p verbs does with a transaction; whether there was anything to commit.
    template <class Verbs>
    bool change(Verbs&& verbs) {
        Transaction transaction(document_, actor_, WallTime(time_ms_));
        verbs(transaction);
        const auto done = transaction.commit();
        EXPECT_TRUE(done.has_value());
        if (!done || !*done) return false;
        note(document_.outgoing().batch);
        document_.clear_outgoing();
        return true;
    }
    bool put(std::string_view path, const Value& value) {
        const auto [parent, key] = slot(path);
        return change([&](Transaction& t) { EXPECT_TRUE(t.put(parent, key, value)); });
    }
    bool put(std::string_view path, int value) { return put(path, Value(std::int64_t{value})); }
    bool make(std::string_view path, Kind kind) {
        const auto [parent, key] = slot(path);
        return change([&](Transaction& t) { EXPECT_TRUE(t.make(parent, key, kind)); });
    }
    bool erase(std::string_view path) {
        const auto [parent, key] = slot(path);
        return change([&](Transaction& t) { EXPECT_TRUE(t.erase(parent, key)); });
    }
    bool add(std::string_view path, std::int64_t delta) {
        const ContainerIndex counter = container(path, Kind::counter);
        return change([&](Transaction& t) { EXPECT_TRUE(t.increment(counter, delta)); });
    }
    bool insert(std::string_view list, std::size_t index, const std::vector<int>& values) {
        const ContainerIndex places = container(list, Kind::list);
        return change([&](Transaction& t) {
            for (const int value : values) {
                EXPECT_TRUE(t.insert(places, index++, {Kind::none, Value(std::int64_t{value})}));
            }
        });
    }
    bool insert_by_key(std::string_view list, std::size_t index, int key, int value) {
        const ContainerIndex places = container(list, Kind::list);
        return change([&](Transaction& t) {
            const Names::ElementKey by{*t.key("id"), 0, Value(std::int64_t{key})};
            EXPECT_TRUE(t.insert(places, index, {Kind::none, Value(std::int64_t{value})}, by));
        });
    }
    bool move(std::string_view list, std::size_t from, std::size_t to) {
        const ContainerIndex places = container(list, Kind::list);
        return change([&](Transaction& t) { EXPECT_TRUE(t.move(places, from, to)); });
    }
    ElementIndex element(std::string_view list, std::size_t index) {
        const auto* held = document_.state().list(container(list, Kind::list));
        return held->element_of[held->places.item_at(static_cast<std::uint32_t>(index))];
    }
    bool erase_at(std::string_view list, std::size_t index) {
        const ContainerIndex places = container(list, Kind::list);
        const ElementIndex at = element(list, index);
        return change([&](Transaction& t) { EXPECT_TRUE(t.erase(places, at)); });
    }
    bool set_at(std::string_view list, std::size_t index, int value) {
        const ContainerIndex places = container(list, Kind::list);
        const ElementIndex at = element(list, index);
        return change(
            [&](Transaction& t) { EXPECT_TRUE(t.put(places, at, Value(std::int64_t{value}))); });
    }
    /// Applies a change that this peer made of raw operations.
    void commit_raw(const Batch& batch) {
        const auto hashes = document_.check(batch);
        ASSERT_TRUE(hashes);
        ASSERT_TRUE(document_.apply(batch, *hashes));
        note(batch);
    }

    // --- Deliveries ----------------------------------------------------------------------------

    /// Takes over what @p other knows, at most its first @p count changes, in its order.
    void hear(const Peer& other, std::size_t count = SIZE_MAX) {
        for (std::size_t i = 0; i < other.known_.size() && i < count; ++i)
            take(other.known_[i]);
    }
    std::size_t known_count() const { return known_.size(); }

    // --- Questions -----------------------------------------------------------------------------

    std::string shows() const { return model::to_text(document_.read_root()); }
    /// The visible puts and makes at @p path, winner first, the others sorted.
    std::string entries(std::string_view path) {
        const auto [parent, key] = slot(path);
        const SlotIndex index = document_.state().find_slot(parent, key);
        if (index == kNone) return "";
        const State::Slot& at = document_.state().slot(index);
        std::set<std::string> others;
        for (const Entry& e : document_.state().alternatives(at))
            others.insert(entry_text(e));
        std::string text = at.has_entry() ? entry_text(at.entry) : "";
        for (const std::string& other : others)
            text += " " + other;
        return text;
    }
    std::int64_t stamp(std::string_view path) {
        const auto [parent, key] = slot(path);
        return document_.state().slot(document_.state().find_slot(parent, key)).entry.stamp;
    }
    /// Demands that the document is what the model makes of the changes known.
    void check() {
        std::vector<model::Change> changes;
        for (const Known& known : known_)
            changes.push_back(known.change);
        const model::Model model(changes);
        EXPECT_EQ(model::detail_of(document_), model.detail());
        EXPECT_EQ(shows(), model::to_text(model.root()));
        EXPECT_TRUE(document_.read_root() == model.root());
    }
    std::vector<model::Change> changes() const {
        std::vector<model::Change> changes;
        for (const Known& known : known_)
            changes.push_back(known.change);
        return changes;
    }
    /// The bytes of the change that came to be known as number @p index.
    const Bytes& bytes(std::size_t index) const { return known_[index].bytes; }

  private:
    struct Known {
        model::Change change;
        Bytes bytes;
    };

    std::pair<ContainerIndex, KeyIndex> slot(std::string_view path) {
        ContainerIndex parent = kRoot;
        for (std::size_t dot = path.find('.'); dot != std::string_view::npos;
             dot = path.find('.')) {
            const KeyIndex key = document_.names().intern_key(path.substr(0, dot));
            parent = document_.names().intern_container(parent, key, Kind::map);
            path.remove_prefix(dot + 1);
        }
        return {parent, document_.names().intern_key(path)};
    }
    static std::string entry_text(const Entry& entry) {
        return entry.made != Kind::none ? std::string(kind_name(entry.made))
                                        : model::to_text(entry.value);
    }
    void note(const Batch& batch) {
        for (std::size_t i = 0; i < batch.changes.size(); ++i) {
            known_.push_back({model::change_of(document_.names(), batch, i),
                              encoded(document_.names(), batch, i)});
        }
    }
    void take(const Known& known) {
        for (const Known& mine : known_) {
            if (mine.change.actor == known.change.actor && mine.change.seq == known.change.seq) {
                return;
            }
        }
        ASSERT_NO_FATAL_FAILURE(give(document_, known.bytes));
        known_.push_back(known);
    }

    ActorId actor_;
    Document document_;
    std::int64_t time_ms_ = 0;
    std::vector<Known> known_;
};

/// Tells each peer all that the others know; then all must be alike and like the model.
inline void meet(const std::vector<Peer*>& peers) {
    for (Peer* peer : peers) {
        for (const Peer* other : peers)
            peer->hear(*other);
    }
    for (Peer* peer : peers) {
        for (const Peer* other : peers)
            peer->hear(*other);
        peer->check();
        EXPECT_EQ(peer->shows(), peers.front()->shows());
        EXPECT_EQ(peer->document().digest(), peers.front()->document().digest());
        EXPECT_EQ(model::detail_of(peer->document()), model::detail_of(peers.front()->document()));
    }
}
inline void meet(Peer& a, Peer& b) { meet({&a, &b}); }

}  // namespace joinery::crdt::test
