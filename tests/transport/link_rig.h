/// @file
/// What the transport tests share: a transport with the means to run it, and a Link's user that
/// remembers what it was told.
#pragma once

#include "base/link.h"
#include "support/certificate.h"
#include "support/dice.h"
#include "transport/memory_transport.h"
#include "transport/tcp_transport.h"
#include "transport/ws_transport.h"

#include <asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace joinery::transport::test {

/// How long a test may wait for the system before it fails.
inline constexpr std::chrono::seconds kDeadline{30};

/// A transport for both ends, run by the test.
class Rig {
  public:
    Rig() = default;
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;
    virtual ~Rig() = default;

    virtual Transport& transport() = 0;
    /// Replaces the transport by nothing.
    virtual void destroy_transport() = 0;
    virtual std::string listen_url() const = 0;
    /// A URL at which nobody listens.
    virtual std::string refused_url() const = 0;
    /// Runs one callback or so; false if nothing happens any more before the deadline.
    virtual bool step() = 0;

    bool run_until(const std::function<bool()>& is_done) {
        while (!is_done()) {
            if (!step()) return is_done();
        }
        return true;
    }
};

/// A transport over sockets of loopback.
class SocketRig : public Rig {
  public:
    explicit SocketRig(std::string scheme) : scheme_(std::move(scheme)) {}

    Transport& transport() override { return *transport_; }
    void destroy_transport() override { transport_.reset(); }
    std::string listen_url() const override { return scheme_ + "://127.0.0.1:0"; }
    std::string refused_url() const override { return scheme_ + "://127.0.0.1:1"; }
    bool step() override {
        if (io_.stopped()) io_.restart();
        return io_.run_one_until(end_) != 0;
    }
    /// Runs a callback that is due; false if none is.
    bool step_now() {
        if (io_.stopped()) io_.restart();
        return io_.poll_one() != 0;
    }
    asio::io_context& io() { return io_; }
    bool is_late() const { return std::chrono::steady_clock::now() > end_; }

  protected:
    void set_transport(std::unique_ptr<Transport> transport) { transport_ = std::move(transport); }

  private:
    const std::string scheme_;
    std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + kDeadline;
    asio::io_context io_;
    std::unique_ptr<Transport> transport_;
};

class TcpRig final : public SocketRig {
  public:
    explicit TcpRig(const TcpOptions& options = {}) : SocketRig("tcp") {
        set_transport(make_tcp_transport(io().get_executor(), options));
    }
};

class WsRig final : public SocketRig {
  public:
    explicit WsRig(WsOptions options = {}) : SocketRig("ws") {
        set_transport(make_ws_transport(io().get_executor(), random_, std::move(options)));
    }

  private:
    joinery::test::SeededRandom random_{1};
};

class WssRig final : public SocketRig {
  public:
    explicit WssRig(WsOptions options = {}) : SocketRig("wss") {
        options.certificate_file = certificate_.file();
        options.key_file = certificate_.key_file();
        options.authorities_file = certificate_.file();
        set_transport(make_ws_transport(io().get_executor(), random_, std::move(options)));
    }

  private:
    joinery::test::SeededRandom random_{1};
    joinery::test::Certificate certificate_;
};

class MemoryRig final : public Rig {
  public:
    explicit MemoryRig(const MemoryOptions& options = {})
        : network_(options), transport_(network_.make_transport("host")) {}

    Transport& transport() override { return *transport_; }
    void destroy_transport() override { transport_.reset(); }
    std::string listen_url() const override { return "mem://host"; }
    std::string refused_url() const override { return "mem://nobody"; }
    bool step() override { return network_.step(); }
    MemoryNetwork& network() { return network_; }

  private:
    MemoryNetwork network_;
    std::unique_ptr<Transport> transport_;
};

/// A user of one Link.
struct User {
    std::unique_ptr<Link> link{};
    std::vector<Bytes> received{};
    std::vector<Result<void>> closed{};
    int writable_count = 0;
    /// Run inside the callback of the same name, after it was recorded.
    std::function<void()> on_message{};
    std::function<void()> on_closed{};
    std::function<void()> on_writable{};

    Link::Events events() {
        return {[this](ByteView message) {
                    received.emplace_back(message.begin(), message.end());
                    if (on_message) on_message();
                },
                [this](Result<void> result) {
                    closed.push_back(result);
                    if (on_closed) on_closed();
                },
                [this] {
                    ++writable_count;
                    if (on_writable) on_writable();
                }};
    }
    void start() { link->start(events()); }
    Result<void> send(std::string_view text) { return link->send(as_bytes(text)); }
    bool is_ended_well() const { return closed.size() == 1 && closed[0].has_value(); }
    bool is_ended_as(Errc code) const {
        return closed.size() == 1 && !closed[0] && closed[0].error().code == code;
    }
};

/// Two Users that are connected.
struct Couple {
    std::unique_ptr<Listener> listener{};
    User dialled{};
    User accepted{};

    /// Connects them; false when the deadline passed or an Error came.
    bool connect(Rig& rig) {
        auto made = rig.transport().listen(rig.listen_url(), [this](auto link) {
            if (link) accepted.link = *std::move(link);
        });
        if (!made) return false;
        listener = *std::move(made);
        rig.transport().connect(listener->url(), [this](auto link) {
            if (link) dialled.link = *std::move(link);
        });
        return rig.run_until([this] { return dialled.link && accepted.link; });
    }
    bool connect_and_start(Rig& rig) {
        if (!connect(rig)) return false;
        dialled.start();
        accepted.start();
        return true;
    }
};

/// @p size bytes that @p seed decides.
inline Bytes make_message(std::size_t size, std::uint64_t seed) {
    Bytes message(size);
    std::uint64_t state = seed * 0x9e3779b97f4a7c15U + 1;
    for (std::uint8_t& byte : message) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        byte = static_cast<std::uint8_t>(state >> 56U);
    }
    return message;
}

}  // namespace joinery::transport::test
