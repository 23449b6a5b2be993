/// @file
/// Cores without threads on memory disks: two on one disk are two processes, and what one sends
/// another goes by hand.
#pragma once

#include "engine/core.h"
#include "persist/memory_store.h"
#include "support/dice.h"

#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace joinery::detail {

class FixedClock final : public Clock {
  public:
    WallTime wall_now() override { return WallTime(1'700'000'000'000); }
    MonotonicTime monotonic_now() override { return now; }
    MonotonicTime now{};
};

class CoreTest : public testing::Test {
  protected:
    std::unique_ptr<Core> open_on(std::unique_ptr<Store> store) {
        Core::Hooks hooks;
        hooks.on_pending = [this] { std::exchange(on_pending, [] {})(); };
        hooks.run_callback = [this](std::function<void()> callback) {
            run_callback(std::move(callback));
        };
        hooks.after = [this](MonotonicTime delay, std::function<void()> task) {
            timed.emplace_back(clock_.now + delay, std::move(task));
        };
        hooks.judge = judge;
        hooks.log = [this](const LogEntry& entry) { logged.push_back(entry.text); };
        auto core = Core::open(std::move(store), clock_, random_, std::move(hooks));
        EXPECT_TRUE(core.has_value());
        return *std::move(core);
    }
    std::unique_ptr<Core> open(persist::MemoryDisk& disk) {
        return open_on(*persist::open_memory_store(disk, random_));
    }
    static DocumentCore& document(Core& core, std::string_view id = "d") {
        return **core.open_document(id, true);
    }
    static Result<Receipt> try_set(DocumentCore& at, const std::string& path, std::int64_t value) {
        return at.transact([&](Tx& tx) { return tx.set(path, Value(value)); }, "");
    }
    static void set(Core& core, const std::string& path, std::int64_t value) {
        const auto done = try_set(document(core), path, value);
        ASSERT_TRUE(done.has_value() && done->changed);
    }
    /// One direction of a session: what was sent, and both ends' dictionaries.
    struct Stream {
        session::Frontier theirs;
        crdt::EncoderDictionary encoder;
        crdt::DecoderDictionary decoder;
    };
    /// Gives @p to the next message of @p from; false if nothing was left.
    static bool send(Core& from, Core& to, Stream& stream, std::string_view id = "d") {
        const auto missing =
            document(from, id).encode_missing(stream.theirs, stream.encoder, 1U << 16U);
        EXPECT_TRUE(missing.has_value()) << missing.error().what;
        if (!missing || missing->change_count == 0) return false;
        const auto report =
            document(to, id).receive(missing->changes, stream.decoder, missing->seals);
        EXPECT_TRUE(report.has_value()) << report.error().what;
        return report.has_value();
    }
    /// Gives @p to what it lacks of @p from.
    static void send(Core& from, Core& to, std::string_view id = "d") {
        Stream stream;
        stream.theirs = document(to, id).frontier();
        while (send(from, to, stream, id)) {
        }
    }
    /// What @p core makes of it that somebody says to have @p theirs.
    static void hear(Core& core, session::Frontier theirs) {
        document(core).hear(theirs, session::DocumentPort::Hearing::usual);
    }
    static Digest digest(Core& core) { return document(core).status()->digest; }

    /// What the next change that is made or comes meets before it is told.
    std::function<void()> on_pending = [] {};
    /// Where the app's callbacks run.
    std::function<void(std::function<void()>)> run_callback =
        [](const std::function<void()>& callback) { callback(); };
    /// Of the cores opened from now on.
    Judge judge;
    /// What is to run later, and when.
    std::vector<std::pair<MonotonicTime, std::function<void()>>> timed;
    std::vector<std::string> logged;
    FixedClock clock_;
    test::SeededRandom random_{1};
    persist::MemoryDisk disk_;
    persist::MemoryDisk other_disk_;
};

}  // namespace joinery::detail
