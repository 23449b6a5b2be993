#include "tests/data/data_peer.h"

#include "session/session.h"

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

namespace joinery::testing {
namespace {

constexpr const char* kDocument = "d";
constexpr std::size_t kRoundsMax = 8;

template <class T>
T value_of(Result<T> result) {
    if (!result) throw std::runtime_error(std::string(result.error().what));
    return *std::move(result);
}

/// What a session complains of.
std::string told(session::Session& session) {
    std::string out;
    for (const session::Event& event : session.take_events()) {
        if (event.error) out += ": " + std::string(event.error->what);
    }
    return out;
}

bool pass_message(session::Session& from, session::Session& to) {
    Bytes message;
    if (!from.next_message(message)) return false;
    to.on_message(message, std::chrono::seconds(1));
    return true;
}

void run(session::Session& a, session::Session& b) {
    for (bool moved = true; moved;) {
        moved = pass_message(a, b);
        moved = pass_message(b, a) || moved;
    }
}

}  // namespace

DataPeer::DataPeer(std::uint64_t seed) : random_(seed) {
    detail::Core::Hooks hooks;
    hooks.on_pending = [] {};
    hooks.run_callback = [](const std::function<void()>& callback) { callback(); };
    core_ = value_of(detail::Core::open(
        value_of(persist::open_memory_store(disk_, random_)), clock_, random_, std::move(hooks)));
    document_ = value_of(core_->open_document(kDocument, true));
}

bool DataPeer::import(const Plain& value, WallTime time) {
    clock_.set(time);
    const Receipt receipt =
        value_of(document_->transact([&](Tx& tx) { return tx.set("", value); }, "import"));
    commit();
    return receipt.changed;
}

Plain DataPeer::view() const { return value_of(document_->read("")); }

Digest DataPeer::digest() const { return value_of(document_->status()).digest; }

std::uint64_t DataPeer::change_count() const { return value_of(document_->status()).change_count; }

void DataPeer::commit() { static_cast<void>(value_of(core_->commit())); }

void exchange(DataPeer& a, DataPeer& b) {
    session::Session left(a.core(), session::Options());
    session::Session right(b.core(), session::Options());
    const auto is_done = [](const session::Session& session) {
        return session.is_acknowledged() && session.counters().divergences == 0;
    };
    // What comes is told, and acknowledged, once it is durable.
    for (std::size_t round = 0; round < kRoundsMax; ++round) {
        run(left, right);
        if (is_done(left) && is_done(right)) return;
        a.commit();
        b.commit();
        left.document_changed(kDocument);
        right.document_changed(kDocument);
    }
    throw std::runtime_error("the peers are not in step after an exchange" + told(left) +
                             told(right));
}

}  // namespace joinery::testing
