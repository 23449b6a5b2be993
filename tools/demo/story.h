/// @file
/// The demo's story: one dashboard, several processes, everything that usually goes wrong.
#pragma once

#include "tools/commands.h"
#include "tools/demo/crew.h"
#include "tools/demo/edits.h"
#include "tools/demo/screen.h"

#include <memory>
#include <string>
#include <vector>

namespace joinery::tools {

class Story {
  public:
    /// @param folder  Where the stores go; there already.
    Story(const DemoArguments& arguments, Plain dashboard, std::string folder, Screen& screen);

    /// One line about the dashboard, which came from @p source.
    std::string subject(std::string_view source) const;
    /// Tells it all. An Error where a peer could not do its part; complaint() may say more.
    Result<void> tell();
    /// Whether all peers ended with the same state; only after tell().
    bool is_equal() const noexcept { return equal_; }
    /// What the last table says, as a JSON array.
    std::string json() const;
    std::string complaint() const;

  private:
    struct Peer {
        explicit Peer(std::string name, std::string store)
            : process(std::move(name), std::move(store)) {}
        CrewMember process;
        std::vector<double> latencies_ms;  ///< Of edits made elsewhere, until they showed here.
        std::string digest;
        std::int64_t changes = 0, actors = 0, stored = 0, received = 0, sent = 0, alarms = 0;
        std::int64_t unacknowledged = 0, acknowledged_us = 0;
        std::string links;
    };
    /// Where @p peer reaches the first: every second one by WebSocket.
    const std::string& url_for(const Peer& peer) const;

    Result<void> import_and_sync();
    Result<void> edit_live();
    Result<void> part();
    Result<void> heal();
    Result<void> clash();
    Result<void> kill_one();
    Result<void> end();

    Result<void> edit_fields(Peer& peer, int count);
    Result<void> edit_structure(Peer& wall, Peer& laptop);
    Result<void> read_status(Peer& peer);
    Result<std::string> digest_of(Peer& peer);
    /// Waits until all peers have the same digest; how long it took, in ms.
    Result<double> wait_until_equal();
    void print_table();

    Plain dashboard_;
    Screen& screen_;
    Edits edits_;
    std::vector<std::unique_ptr<Peer>> peers_;
    bool equal_ = false;
};

}  // namespace joinery::tools
