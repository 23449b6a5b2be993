#include "transport/multicast.h"

#include "transport/asio_error.h"

#include <asio/error.hpp>
#include <asio/ip/multicast.hpp>
#include <asio/ip/udp.hpp>
#include <asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <span>
#include <utility>
#include <vector>

namespace joinery::transport {
namespace {

using Address = asio::ip::address_v4;
using Udp = asio::ip::udp;

/// How long to wait after the system could not give a datagram: asking at once would spin.
constexpr std::chrono::milliseconds kReceiveRetryDelay{100};

std::optional<Address> parse_address(const std::string& text) {
    asio::error_code error;
    const Address address = asio::ip::make_address_v4(text, error);
    return error ? std::nullopt : std::optional(address);
}

/// The addresses of all interfaces that are up and have multicast.
std::vector<Address> interfaces() {
    std::vector<Address> out;
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) return out;
    for (const ifaddrs* it = first; it != nullptr; it = it->ifa_next) {
        const bool is_able = (it->ifa_flags & IFF_UP) != 0 && (it->ifa_flags & IFF_MULTICAST) != 0;
        if (!is_able || it->ifa_addr == nullptr || it->ifa_addr->sa_family != AF_INET) continue;
        // The system's way to say which kind of address it is.
        const auto* address = reinterpret_cast<const sockaddr_in*>(it->ifa_addr);
        out.emplace_back(ntohl(address->sin_addr.s_addr));
    }
    ::freeifaddrs(first);
    return out;
}

/// Outlives its MulticastGroup until the last handler has come back.
class MulticastSocket : public std::enable_shared_from_this<MulticastSocket> {
  public:
    MulticastSocket(const asio::any_io_executor& executor, MulticastOptions options)
        : socket_(executor), retry_timer_(executor), options_(std::move(options)) {}

    Result<void> start(DatagramGroup::OnDatagram on_datagram);
    Result<void> send(ByteView datagram);
    void stop();

  private:
    asio::error_code open(const Address& group);
    asio::error_code join();
    void receive_more();
    void on_receive(const asio::error_code& error, std::size_t size);

    Udp::socket socket_;
    asio::steady_timer retry_timer_;
    MulticastOptions options_;
    std::vector<Address> joined_;
    std::shared_ptr<const DatagramGroup::OnDatagram> on_datagram_;  // Null once it was stopped.
    Udp::endpoint sender_;
    std::array<std::uint8_t, kDatagramSizeMax + 1> buffer_{};  // One more: to see what is too long.
};

Result<void> MulticastSocket::start(DatagramGroup::OnDatagram on_datagram) {
    asio::error_code error = open(parse_address(options_.group).value_or(Address()));
    if (!error) error = join();
    if (error) {
        asio::error_code ignored;  // It is made anew by the next call.
        socket_.close(ignored);
        joined_.clear();
        return make_error(error, Action::listen);
    }
    on_datagram_ = std::make_shared<const DatagramGroup::OnDatagram>(std::move(on_datagram));
    receive_more();
    return {};
}

asio::error_code MulticastSocket::open(const Address& group) {
    asio::error_code error;
    socket_.open(Udp::v4(), error);
    if (!error) socket_.non_blocking(true, error);
    if (!error) socket_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) socket_.set_option(asio::ip::multicast::enable_loopback(true), error);
    if (!error) socket_.set_option(asio::ip::multicast::hops(1), error);
#ifdef IP_MULTICAST_ALL
    // Else what other programs of this machine joined on other interfaces would come here, too.
    using OfAll = asio::detail::socket_option::boolean<IPPROTO_IP, IP_MULTICAST_ALL>;
    if (!error) socket_.set_option(OfAll(false), error);
#endif
    // To the group's address: what is sent to this machine alone does not come here.
    if (!error) socket_.bind(Udp::endpoint(group, options_.port), error);
    return error;
}

/// Joins on interfaces that are new, and forgets those that are gone; an error where none is left.
asio::error_code MulticastSocket::join() {
    const auto only = parse_address(options_.interface_address);
    const std::vector<Address> present = only ? std::vector<Address>{*only} : interfaces();
    std::erase_if(joined_, [&](const Address& it) {
        return std::ranges::find(present, it) == present.end();
    });
    asio::error_code last = asio::error::network_down;
    const Address group = parse_address(options_.group).value_or(Address());
    for (const Address& it : present) {
        if (std::ranges::find(joined_, it) != joined_.end()) continue;
        asio::error_code error;
        socket_.set_option(asio::ip::multicast::join_group(group, it), error);
        // Joined before an address went and came back.
        if (!error || error == asio::error::address_in_use) {
            joined_.push_back(it);
        } else {
            last = error;
        }
    }
    return joined_.empty() ? last : asio::error_code();
}

Result<void> MulticastSocket::send(ByteView datagram) {
    if (datagram.size() > kDatagramSizeMax) return fail(Errc::over_limit, "a datagram too long");
    if (!on_datagram_) return fail(Errc::disconnected, "the group was not joined");
    if (const asio::error_code error = join()) return make_error(error, Action::listen);
    const Udp::endpoint to(parse_address(options_.group).value_or(Address()), options_.port);
    bool is_sent = false;
    asio::error_code last;
    for (const Address& from : joined_) {
        asio::error_code error;
        socket_.set_option(asio::ip::multicast::outbound_interface(from), error);
        if (!error) {
            socket_.send_to(asio::buffer(datagram.data(), datagram.size()), to, 0, error);
        }
        is_sent = is_sent || !error;
        if (error) last = error;
    }
    if (is_sent) return {};
    return make_error(last, Action::transfer);
}

void MulticastSocket::stop() {
    on_datagram_ = nullptr;
    asio::error_code ignored;  // The socket is gone either way.
    socket_.close(ignored);
    retry_timer_.cancel();
}

void MulticastSocket::receive_more() {
    socket_.async_receive_from(
        asio::buffer(buffer_),
        sender_,
        [self = shared_from_this()](const asio::error_code& error, std::size_t size) {
            self->on_receive(error, size);
        });
}

void MulticastSocket::on_receive(const asio::error_code& error, std::size_t size) {
    const auto on_datagram = on_datagram_;
    if (!on_datagram) return;
    if (error) {
        retry_timer_.expires_after(kReceiveRetryDelay);
        retry_timer_.async_wait([self = shared_from_this()](const asio::error_code& cancelled) {
            if (!cancelled && self->on_datagram_) self->receive_more();
        });
        return;
    }
    const std::string host = sender_.address().to_string();
    (*on_datagram)(host, std::span(buffer_).first(size));
    if (on_datagram_) receive_more();
}

class MulticastGroup final : public DatagramGroup {
  public:
    MulticastGroup(const asio::any_io_executor& executor, MulticastOptions options)
        : socket_(std::make_shared<MulticastSocket>(executor, std::move(options))) {}
    ~MulticastGroup() override { socket_->stop(); }

    Result<void> start(OnDatagram on_datagram) override {
        return socket_->start(std::move(on_datagram));
    }
    Result<void> send(ByteView datagram) override { return socket_->send(datagram); }

  private:
    std::shared_ptr<MulticastSocket> socket_;
};

}  // namespace

Result<void> check_multicast(const MulticastOptions& options) {
    const auto group = parse_address(options.group);
    if (!group || !group->is_multicast()) {
        return fail(Errc::malformed, "the group is an IPv4 multicast address, as 239.255.77.77");
    }
    if (options.port == 0) return fail(Errc::malformed, "the port of the group is from 1 to 65535");
    if (!options.interface_address.empty() && !parse_address(options.interface_address)) {
        return fail(Errc::malformed, "the interface is given by its IPv4 address");
    }
    return {};
}

std::unique_ptr<DatagramGroup> make_multicast_group(const asio::any_io_executor& executor,
                                                    MulticastOptions options) {
    return std::make_unique<MulticastGroup>(executor, std::move(options));
}

}  // namespace joinery::transport
