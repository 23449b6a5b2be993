/// @file
/// The state of a MemoryNetwork. Private to transport/.
#pragma once

#include "base/link.h"
#include "transport/memory_transport.h"
#include "transport/send_limit.h"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::transport::detail {

/// A callback to come at one side of a link.
struct MemoryItem {
    DeliveryKind kind;
    std::uint64_t sequence;
    MonotonicTime queued_at;
    Bytes message;
};

/// One end of a link. Both ends of a link are `ended` at the same time.
struct MemorySide {
    enum class State : std::uint8_t { open, closing, ended };

    std::string host;
    SendLimit limit;
    State state = State::open;
    bool is_paused = false;
    std::size_t receive_max = kMessageSizeMax;
    std::shared_ptr<const Link::Events> events{};  // from start() to the last callback
    std::deque<MemoryItem> stream{};               // from the other side: messages, end
    std::deque<MemoryItem> notices{};              // from itself: writable, end, cut
};

struct MemoryPair {
    LinkNumber number{};
    std::array<MemorySide, 2> sides;  // [0] dialled
};

/// A connect() that is not answered yet. While it is a `dial`, @p answer means nothing.
struct MemoryDial {
    DeliveryKind kind;
    LinkNumber number{};
    std::uint64_t transport_id;
    MonotonicTime queued_at;
    std::string from;
    std::string to;
    Transport::OnLink on_link;
    Result<std::unique_ptr<Link>> answer;
};

/// All links, dials and listeners. Shared by what the network made, which may outlive the network.
class MemoryCore : public std::enable_shared_from_this<MemoryCore> {
  public:
    explicit MemoryCore(const MemoryOptions& options) : options_(options) {}

    // As in MemoryNetwork.
    std::span<const Delivery> pending();
    void deliver(std::size_t index);
    bool drop(std::size_t index);
    void cut(LinkNumber link);
    std::size_t cut_between(std::string_view host, std::string_view other_host);
    void shut_down();

    // As in Transport and Listener.
    std::uint64_t next_transport_id() noexcept { return ++transport_count_; }
    Result<void> listen(const std::string& host, Transport::OnLink on_link);
    void stop_listening(const std::string& host);
    void dial(MemoryDial dial);
    void abandon_dials(std::uint64_t transport_id);

    // As in Link.
    void start(MemorySide& me, Link::Events events);
    Result<void> send(MemoryPair& pair, std::size_t side, ByteView message);
    void pause(MemorySide& me);
    void resume(MemorySide& me);
    void close(MemoryPair& pair, std::size_t side);
    void abandon(MemoryPair& pair, std::size_t side);

  private:
    enum class Lane : std::uint8_t { dial, stream, notice };
    // Where the Delivery of the same index stands.
    struct Place {
        Lane lane;
        std::shared_ptr<MemoryPair> pair;
        std::size_t side;
    };
    using Dials = std::map<std::uint64_t, MemoryDial>;  // by sequence

    MonotonicTime now() const;
    MemoryItem make_item(DeliveryKind kind, ByteView message = {});
    void list_dials();
    void list_side(const std::shared_ptr<MemoryPair>& pair, std::size_t side);
    Place take_place(std::size_t index);

    void deliver_dial(Dials::node_type node);
    void deliver_answer(Dials::node_type node);
    void deliver_stream(MemoryPair& pair, std::size_t side);
    void deliver_notice(MemoryPair& pair, std::size_t side);
    void requeue_as_answer(Dials::node_type node, Result<std::unique_ptr<Link>> answer);
    void fail_dial(Dials::iterator dial);
    void release(MemorySide& sender, std::size_t size);
    void cut_pair(MemoryPair& pair);
    void forget_if_over(const MemoryPair& pair);

    MemoryOptions options_;
    std::map<LinkNumber, std::shared_ptr<MemoryPair>> pairs_;
    Dials dials_;
    // Called under a copy of the pointer: the Listener may die inside.
    std::map<std::string, std::shared_ptr<const Transport::OnLink>> listeners_;
    std::uint64_t sequence_ = 0;
    std::uint64_t dial_count_ = 0;
    std::uint64_t transport_count_ = 0;
    std::vector<Delivery> pending_;
    std::vector<Place> places_;
    bool is_listed_ = false;  // pending_ and places_ are up to date
    bool is_delivering_ = false;
    bool is_down_ = false;
};

/// Makes the Link of side @p side of @p pair.
std::unique_ptr<Link> make_memory_link(std::shared_ptr<MemoryCore> core,
                                       std::shared_ptr<MemoryPair> pair,
                                       std::size_t side);

}  // namespace joinery::transport::detail
