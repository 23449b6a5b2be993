/// @file
/// Links within one process, moved by the caller's hand: nothing happens but inside deliver(), so
/// that a simulator with a seed and a virtual clock decides what happens, in what order and when.
/// No thread, timer or socket; not for talking between threads.
#pragma once

#include "base/env.h"
#include "base/link.h"
#include "transport/send_limit.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace joinery::transport {

namespace detail {
class MemoryCore;
}

/// The number of one connection of a MemoryNetwork, from 1 in order of dialling.
enum class LinkNumber : std::uint64_t {};

/// What one pending delivery does when it is delivered.
enum class DeliveryKind : std::uint8_t {
    dial,     ///< A connect() arrives at the host that it names, and both ends' Links are made.
    answer,   ///< The dialling side gets its Link or its Error.
    message,  ///< on_message.
    end,      ///< The other side's close() arrives behind its messages, or is confirmed: on_closed.
    cut,      ///< The side hears that the link broke: on_closed with `disconnected`.
    writable,  ///< on_writable.
};

/// One callback that may run next.
struct Delivery {
    DeliveryKind kind;
    LinkNumber link;
    std::uint64_t sequence;   ///< From 1, in order of the calls that caused them; never reused.
    std::string_view from;    ///< Host; the same as @p to for what a host tells itself.
    std::string_view to;      ///< Host, as is; for a dial, the one that it names.
    std::size_t size;         ///< Of a message, in bytes; else 0.
    ByteView message;         ///< Borrowed as the whole; empty for other kinds.
    MonotonicTime queued_at;  ///< By MemoryOptions::clock; a delay is counted from here.
};

/// How a MemoryNetwork behaves.
struct MemoryOptions {
    /// Bound on what one Link queues for sending, in bytes. All that is not delivered counts.
    std::size_t queue_size_max = kQueueSizeMaxDefault;
    /// Stamps each Delivery; nullptr: all are stamped 0. Must outlive the network.
    Clock* clock = nullptr;
};

/// A network of hosts named by the caller, which dial one another as `mem://NAME`.
///
/// Each Link is ordered and reliable; there is no order between two Links or the two directions of
/// one. A cut loses what was not delivered. The same calls give the same callbacks.
///
/// @par Thread safety
/// None: one thread for the network and for all Transports, Listeners and Links of it. Callbacks
/// may call all of these, except deliver(), drop(), step() and run().
class MemoryNetwork {
  public:
    explicit MemoryNetwork(const MemoryOptions& options = {});
    MemoryNetwork(const MemoryNetwork&) = delete;
    MemoryNetwork& operator=(const MemoryNetwork&) = delete;
    /// Forgets all callbacks. What the network made may outlive it, and is of no use then.
    ~MemoryNetwork();

    /// The transport of host @p name (letters, digits, '-', '.', '_'; case is ignored). It listens
    /// on `mem://NAME` only. A restarted host makes another.
    std::unique_ptr<Transport> make_transport(std::string_view name);

    /// What may be delivered now, oldest first: of each direction of each link the first item, if
    /// that side has started and is not paused, and each dial and answer. Valid until the next
    /// call to the network or to what it made.
    std::span<const Delivery> pending();
    /// Runs item @p index of pending().
    void deliver(std::size_t index);
    /// Loses item @p index of pending(): a stream that loses a message or an end is cut, a dial or
    /// an answer fails as `disconnected`. False for what a host tells itself: it cannot be lost.
    bool drop(std::size_t index);
    /// Cuts @p link, if there is such: both sides' undelivered items are lost, and each gets `cut`.
    void cut(LinkNumber link);
    /// Cuts all links between two hosts, in either direction; returns how many.
    std::size_t cut_between(std::string_view host, std::string_view other_host);

    /// Delivers the oldest item; false if there is none.
    bool step();
    /// Steps until nothing is pending, or @p steps_max times; returns how many.
    std::size_t run(std::size_t steps_max);

  private:
    std::shared_ptr<detail::MemoryCore> core_;
};

}  // namespace joinery::transport
