/// @file
/// A hub in a process of its own, whose memory can be read, and many light peers in this one.
#pragma once

#include "bench/folder.h"
#include "bench/measure.h"
#include "joinery/document.h"
#include "persist/memory_store.h"

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace joinery::detail {
class Engine;
class AsioStrand;
}  // namespace joinery::detail

namespace joinery::bench {

/// What `joinery_bench --serve FOLDER` does: a peer on the store in @p folder that prints its URL
/// and runs until its standard input ends. The nth key that comes may read and write `of/n/*` and
/// `all/*`.
void serve_hub(const std::string& folder);

/// This program as a hub; ended with it.
class Hub {
  public:
    explicit Hub(const std::string& folder);
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;
    ~Hub();
    const std::string& url() const noexcept { return url_; }
    /// Bytes that are its own, as the system counts them (Private_Dirty of all mappings).
    std::uint64_t memory() const;

  private:
    pid_t pid_ = -1;
    int stdin_ = -1;
    std::string url_;
};

/// Peers with stores in memory, without threads of their own: all run on one.
class Crowd {
  public:
    Crowd();
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;
    ~Crowd();

    /// Makes one more that keeps a link to @p url, with document @p id open and @p on_event called
    /// on the crowd's thread.
    void add(const std::string& url,
             const std::string& id,
             std::function<void(const Event&)> on_event);
    /// Links that are online and in step.
    std::size_t count_in_step();
    std::size_t size() const noexcept { return members_.size(); }
    Document document(std::size_t member, const std::string& id);

  private:
    struct Member;
    /// Runs @p body on the crowd's thread and waits for it.
    void run(const std::function<void()>& body);

    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::unique_ptr<detail::AsioStrand> strand_;
    std::vector<std::unique_ptr<Member>> members_;
    std::thread thread_;
};

}  // namespace joinery::bench
