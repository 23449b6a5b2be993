/// @file
/// Whether this machine has multicast on loopback, and a port for it: by plain system calls.
#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace joinery::test {

inline constexpr const char* kTestGroup = "239.255.77.78";

/// A UDP socket, closed with it.
class UdpSocket {
  public:
    UdpSocket() : fd_(::socket(AF_INET, SOCK_DGRAM, 0)) {}
    UdpSocket(const UdpSocket&) = delete;
    UdpSocket& operator=(const UdpSocket&) = delete;
    ~UdpSocket() { ::close(fd_); }

    static sockaddr_in address(const char* host, std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = ::inet_addr(host);
        return address;
    }
    bool bind(const char* host, std::uint16_t port) {
        const sockaddr_in to = address(host, port);
        return ::bind(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    }
    /// 0 without one.
    std::uint16_t port() const {
        sockaddr_in own{};
        socklen_t size = sizeof own;
        if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size) != 0) return 0;
        return ntohs(own.sin_port);
    }
    bool join_on_loopback() {
        ip_mreqn request{};
        request.imr_multiaddr.s_addr = ::inet_addr(kTestGroup);
        request.imr_address.s_addr = ::inet_addr("127.0.0.1");
        return ::setsockopt(fd_, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) == 0;
    }
    /// To the group, over loopback.
    bool say(const std::string& text, std::uint16_t port) {
        in_addr from{};
        from.s_addr = ::inet_addr("127.0.0.1");
        if (::setsockopt(fd_, IPPROTO_IP, IP_MULTICAST_IF, &from, sizeof from) != 0) return false;
        const sockaddr_in to = address(kTestGroup, port);
        return ::sendto(fd_,
                        text.data(),
                        text.size(),
                        0,
                        reinterpret_cast<const sockaddr*>(&to),
                        sizeof to) == static_cast<ssize_t>(text.size());
    }
    /// Whether anything comes in time.
    bool hears() {
        pollfd wait{fd_, POLLIN, 0};
        constexpr int kPatienceMs = 2000;
        return ::poll(&wait, 1, kPatienceMs) == 1;
    }

  private:
    int fd_;
};

/// A port that nobody uses for UDP now.
inline std::uint16_t free_udp_port() {
    UdpSocket socket;
    return socket.bind("0.0.0.0", 0) ? socket.port() : std::uint16_t{0};
}

/// Why what needs multicast on loopback cannot be tried here; none where it can.
inline std::optional<std::string> why_no_multicast() {
    UdpSocket hearer, speaker;
    if (!hearer.bind("0.0.0.0", 0)) return "no UDP socket can be bound here";
    if (!hearer.join_on_loopback()) return "this machine lets nobody join a group on loopback";
    if (!speaker.say("?", hearer.port())) return "this machine sends no multicast on loopback";
    if (!hearer.hears()) return "this machine delivers no multicast on loopback";
    return std::nullopt;
}

}  // namespace joinery::test
