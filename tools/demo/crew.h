/// @file
/// The peers of the demo: each a process of this program with a store of its own, told what to do
/// line by line through a pipe.
#pragma once

#include "base/result.h"
#include "joinery/json.h"

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace joinery::tools {

/// A moment of the clock that all processes of this machine share.
using SharedTime = std::chrono::nanoseconds;
SharedTime shared_now();

/// The least of @p values that is no less than @p part of them; 0 without any.
double percentile(std::vector<double> values, double part);

/// From now on SIGINT and SIGTERM only interrupt waiting for a peer, which then fails with `io`;
/// they are kept until then. Before any thread starts.
void hold_interrupts();

/// Something that became visible at a peer.
struct Sighting {
    SharedTime time{0};
    std::string path;
    std::string value;  ///< JSON.
};

/// One process. Owns it: destruction ends it.
class CrewMember {
  public:
    CrewMember(std::string name, std::string store)
        : name_(std::move(name)), store_(std::move(store)) {}
    CrewMember(const CrewMember&) = delete;
    CrewMember& operator=(const CrewMember&) = delete;
    ~CrewMember();

    /// Starts the process and waits until it listens.
    Result<void> start();
    /// kill -9, and waits until it is gone.
    void kill();
    /// Ends it cleanly; `io` if it ended otherwise.
    Result<void> stop();

    /// Sends one command and waits for its answer, which must not be an error.
    Result<std::string> ask(std::string_view command);
    /// Sends a command without waiting; next_line() has what it says.
    Result<void> tell(std::string_view command);
    Result<std::string> next_line();
    /// Waits until @p value was seen at @p path, which must happen after the call before this.
    Result<SharedTime> wait_for(std::string_view path, std::string_view value);

    const std::string& name() const noexcept { return name_; }
    const std::string& store() const noexcept { return store_; }
    /// Where it listens: over TCP, and by WebSocket.
    const std::string& url() const noexcept { return url_; }
    const std::string& websocket_url() const noexcept { return websocket_url_; }
    /// The Error text of the latest refused command.
    const std::string& complaint() const noexcept { return complaint_; }

  private:
    Result<std::string> read_line();
    void close_pipes();

    std::string name_, store_, url_, websocket_url_, complaint_;
    pid_t process_ = -1;
    int to_ = -1, from_ = -1;
    std::string buffer_;
    std::deque<Sighting> sightings_;
};

}  // namespace joinery::tools
