/// @file
/// Two processes, a and b, over a memory network, moved by hand, and others that join them.
#pragma once

#include "engine/links.h"
#include "sim/process.h"

#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace joinery::sim {

class LinksTest : public testing::Test {
  protected:
    /// Whom both let in; nothing: whom their stores trust.
    explicit LinksTest(
        std::function<std::optional<Access>(const LinkRequest&)> authorize = let_everybody_in) {
        for (const char* host : {"a", "b"}) {
            ProcessSetup setup;
            setup.host = host;
            setup.authorize = authorize;
            add(std::move(setup));
        }
    }
    /// Starts one more, with a disk and chance of its own.
    Process& add(ProcessSetup setup) {
        setup.random_seed = processes_.size();
        setup.may_turn_away = true;
        disks_.push_back(std::make_unique<persist::MemoryDisk>());
        processes_.push_back(std::make_unique<Process>(
            std::move(setup), now_, *disks_.back(), network_, [](const std::string& what) {
                ADD_FAILURE() << what;
            }));
        processes_.back()->start();
        return *processes_.back();
    }
    /// Whether there were any.
    bool run_tasks(Process& process) {
        bool is_any = false;
        for (SimStrand& strand : process.strands()) {
            for (; strand.is_due(); is_any = true)
                strand.run_one();
        }
        return is_any;
    }
    bool run_network() {
        bool is_any = on_network_ && on_network_();
        for (; !network_.pending().empty(); is_any = true) {
            if (on_delivery_) on_delivery_(network_.pending()[0]);
            network_.deliver(0);
        }
        return is_any;
    }
    void sync(const std::string& url = "mem://b") {
        a().engine().links().sync(
            url, {}, std::chrono::milliseconds(100), [this](const Result<SyncReport>& report) {
                ++answer_count_;
                answer_ = report;
            });
    }
    /// Runs all that can happen without time going on.
    void settle() {
        for (bool is_any = true; is_any;) {
            is_any = run_network();
            for (const auto& process : processes_)
                is_any = run_tasks(*process) || is_any;
        }
    }
    /// Time goes on, and everything happens in it.
    void pass(Now time, Now step = std::chrono::milliseconds(100)) {
        for (Now gone{0}; gone < time; gone += step) {
            now_ += step;
            settle();
        }
    }
    /// Within its time limit; flushes take a few steps. Whether it was answered well.
    bool can_sync(const std::string& url = "mem://b") {
        answer_.reset();
        sync(url);
        pass(std::chrono::milliseconds(90), std::chrono::milliseconds(1));
        pass(std::chrono::seconds(2));
        return answer_.has_value() && answer_->has_value();
    }
    Process& a() { return *processes_[0]; }
    Process& b() { return *processes_[1]; }

    Now now_{0};
    std::vector<std::unique_ptr<persist::MemoryDisk>> disks_;
    transport::MemoryNetwork network_;
    std::vector<std::unique_ptr<Process>> processes_;
    /// Hears of each delivery before it is made.
    std::function<void(const transport::Delivery&)> on_delivery_;
    /// Moves another network, and answers whether anything moved.
    std::function<bool()> on_network_;
    int answer_count_ = 0;
    std::optional<Result<SyncReport>> answer_;
};

}  // namespace joinery::sim
