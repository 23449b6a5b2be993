/// @file
/// A TCP peer that keeps no rules: plain system calls, none of which waits beyond the deadline.
#pragma once

#include "base/bytes.h"
#include "tests/transport/link_rig.h"
#include "transport/url.h"

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <utility>

namespace joinery::transport::test {

class RawSocket {
  public:
    RawSocket() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
        const int on = 1;
        ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const timeval limit{kDeadline.count(), 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    RawSocket(const RawSocket&) = delete;
    RawSocket& operator=(const RawSocket&) = delete;
    ~RawSocket() { close(); }

    bool connect(const std::string& url) { return connect_port(parse_url(url)->port.value_or(0)); }
    bool connect_port(std::uint16_t port) {
        const sockaddr_in address = loopback(port);
        return ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    /// Starts to connect and does not wait for the answer.
    void connect_later(std::uint16_t port) {
        const sockaddr_in address = loopback(port);
        const timeval soon{0, 1000};
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
        [[maybe_unused]] const int is_late =
            ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    /// Binds a free port and listens; the port, or 0.
    std::uint16_t listen(int backlog) {
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0) return 0;
        if (::listen(fd_, backlog) != 0) return 0;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
        return ntohs(address.sin_port);
    }
    bool send(ByteView bytes) {
        return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(bytes.size());
    }
    bool send(std::string_view text) { return send(as_bytes(text)); }
    /// Sends what the system takes at once; how much that was.
    std::size_t send_now(ByteView bytes) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent > 0 ? static_cast<std::size_t>(sent) : 0;
    }
    /// What has arrived, at most @p size bytes, without waiting.
    Bytes receive_now(std::size_t size) {
        Bytes bytes(size);
        const ssize_t got = ::recv(fd_, bytes.data(), size, MSG_DONTWAIT);
        bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return bytes;
    }
    /// Waits for the next event: what recv() of one byte returns. 0: FIN. -1: RST or the deadline.
    ssize_t receive_one() {
        std::uint8_t byte = 0;
        return ::recv(fd_, &byte, 1, 0);
    }
    void send_fin() { ::shutdown(fd_, SHUT_WR); }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    /// Closes with RST.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }

  private:
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }

    int fd_;
};

}  // namespace joinery::transport::test
