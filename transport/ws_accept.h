/// @file
/// From a connected socket to a Link, or to an answer that says why not. Private to transport/:
/// ws_transport.h makes them.
#pragma once

#include "base/env.h"
#include "base/link.h"
#include "transport/http_head.h"
#include "transport/tcp_dial.h"
#include "transport/ws_stream.h"
#include "transport/ws_transport.h"

#include <asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace joinery::transport::detail {

/// A handshake that can be given up, whatever its stream.
class WsPending {
  public:
    WsPending() = default;
    WsPending(const WsPending&) = delete;
    WsPending& operator=(const WsPending&) = delete;
    virtual ~WsPending() = default;
    /// Cuts the stream; no callback comes after.
    virtual void abandon() = 0;
};

/// What the two ends' handshakes have in common: TLS, one head, a time limit for all of it, and
/// one answer at the end. Handlers share it.
template <class Stream>
class WsHandshake : public WsPending, public std::enable_shared_from_this<WsHandshake<Stream>> {
  public:
    WsHandshake(std::unique_ptr<Stream> stream,
                Random& random,
                const WsOptions& options,
                HttpHeadReader::Kind head,
                Transport::OnLink on_link);

    void start();
    void abandon() override;

  protected:
    /// The stream is there, encrypted where it is to be.
    virtual void begin() = 0;
    /// The head is whole; @p rest is what came behind it.
    virtual void take_head(const HttpHead& head, ByteView rest) = 0;
    /// The head is none.
    virtual void refuse_head(const Error& error) = 0;
    virtual asio::ssl::stream_base::handshake_type role() const = 0;

    void read_head();
    /// Writes @p text, then calls @p then.
    void write(std::string text, std::function<void()> then);
    /// Ends the stream when the other side has heard all of it.
    void linger();
    /// Gives the Link, or the Error, and then the stream up.
    void answer(Result<std::unique_ptr<Link>> result);
    /// Gives the Error; the stream is still to tell the other side.
    void report(const Error& error);
    /// Gives nothing: what was asked for was no Link. It has @p time to take its answer.
    void serve(std::string text, std::chrono::milliseconds time);
    bool is_over() const noexcept { return !on_link_; }
    std::unique_ptr<Stream> take_stream() { return std::move(stream_); }
    Stream& stream() noexcept { return *stream_; }
    Random& random() noexcept { return random_; }
    const WsOptions& options() const noexcept { return options_; }

  private:
    void write_more();
    void drop();
    void close();
    void start_timer(std::chrono::milliseconds time);

    std::unique_ptr<Stream> stream_;
    asio::steady_timer timer_;
    Random& random_;
    WsOptions options_;
    HttpHeadReader reader_;
    Transport::OnLink on_link_;  // Empty once answered or abandoned.
    std::array<std::uint8_t, 4096> room_{};
    std::string to_write_;
    std::size_t written_ = 0;
    std::function<void()> then_;
};

/// The listener's end.
template <class Stream>
class WsAccept final : public WsHandshake<Stream> {
  public:
    WsAccept(std::unique_ptr<Stream> stream,
             std::string remote,
             Random& random,
             const WsOptions& options,
             Transport::OnLink on_link,
             std::shared_ptr<void> counted);

  private:
    void begin() override { this->read_head(); }
    void take_head(const HttpHead& head, ByteView rest) override;
    void refuse_head(const Error& error) override;
    asio::ssl::stream_base::handshake_type role() const override {
        return asio::ssl::stream_base::server;
    }
    /// The address that was called.
    std::string local_host();
    /// What is answered to a request that is for no WebSocket, if anything is.
    std::optional<HttpReply> reply_to(const HttpHead& head);

    std::string remote_;
    std::shared_ptr<void> counted_;  // Until it is over, whatever it was for.
    std::shared_ptr<void> served_;
};

/// The dialler's end.
template <class Stream>
class WsUpgrade final : public WsHandshake<Stream> {
  public:
    WsUpgrade(std::unique_ptr<Stream> stream,
              Url url,
              std::string remote,
              Random& random,
              const WsOptions& options,
              Transport::OnLink on_link);

  private:
    void begin() override;
    void take_head(const HttpHead& head, ByteView rest) override;
    void refuse_head(const Error& error) override { this->answer(error); }
    asio::ssl::stream_base::handshake_type role() const override {
        return asio::ssl::stream_base::client;
    }

    Url url_;
    std::string remote_;
    WsKey key_{};
};

extern template class WsHandshake<PlainStream>;
extern template class WsHandshake<TlsStream>;
extern template class WsAccept<PlainStream>;
extern template class WsAccept<TlsStream>;
extern template class WsUpgrade<PlainStream>;
extern template class WsUpgrade<TlsStream>;

}  // namespace joinery::transport::detail
