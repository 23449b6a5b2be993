#include "transport/ws_transport.h"

#include "transport/pending.h"
#include "transport/tcp_address.h"
#include "transport/tcp_dial.h"
#include "transport/tcp_listener.h"
#include "transport/url.h"
#include "transport/ws_accept.h"

#include <asio/post.hpp>
#include <asio/ssl/context.hpp>
#include <asio/ssl/host_name_verification.hpp>

#include <openssl/ssl.h>
#include <utility>

namespace joinery::transport {

namespace detail {
namespace {

namespace ssl = asio::ssl;

constexpr std::uint16_t kPort = 80;
constexpr std::uint16_t kTlsPort = 443;

/// The parts of a ws or wss URL, with its port and its path.
Result<Url> parse_ws_url(std::string_view text) {
    JOINERY_TRY(Url url, parse_url(text));
    if (url.scheme != "ws" && url.scheme != "wss") {
        return fail(Errc::unsupported, "the scheme of the URL is neither ws nor wss");
    }
    if (!url.port) url.port = url.scheme == "ws" ? kPort : kTlsPort;
    if (url.path.empty()) url.path = "/";
    JOINERY_TRY_VOID(check_address6(url, text));
    return url;
}

/// @p url at the address that is really meant.
std::string at(const Url& url, const asio::ip::tcp::endpoint& endpoint) {
    return format_url({url.scheme, endpoint.address().to_string(), endpoint.port(), url.path});
}

std::shared_ptr<ssl::context> make_context(ssl::context::method method) {
    auto context = std::make_shared<ssl::context>(method);
    context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                         ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                         ssl::context::no_tlsv1_1 | ssl::context::no_compression);
    return context;
}

Result<std::shared_ptr<ssl::context>> make_listener_context(const WsOptions& options) {
    if (options.certificate_file.empty() || options.key_file.empty()) {
        return fail(Errc::not_found,
                    "wss needs a certificate and its key: --tls-cert FILE --tls-key FILE");
    }
    auto context = make_context(ssl::context::tls_server);
    asio::error_code error;
    context->use_certificate_chain_file(options.certificate_file, error);
    if (error) return fail(Errc::malformed, "the TLS certificate file holds no certificate in PEM");
    context->use_private_key_file(options.key_file, ssl::context::pem, error);
    if (error) {
        return fail(Errc::malformed, "the TLS key file holds no private key of the certificate");
    }
    return context;
}

Result<std::shared_ptr<ssl::context>> make_dialler_context(const WsOptions& options) {
    auto context = make_context(ssl::context::tls_client);
    context->set_verify_mode(ssl::verify_peer);
    asio::error_code error;
    if (options.authorities_file.empty()) {
        context->set_default_verify_paths(error);
    } else {
        context->load_verify_file(options.authorities_file, error);
    }
    if (error) {
        return fail(Errc::malformed, "the file of authorities for TLS holds no certificate in PEM");
    }
    return context;
}

/// What a listener's connections have in common, until it ends.
class WsArrivals : public std::enable_shared_from_this<WsArrivals> {
  public:
    WsArrivals(Url url,
               std::shared_ptr<ssl::context> context,
               Random& random,
               WsOptions options,
               Transport::OnLink on_link)
        : url_(std::move(url)),
          context_(std::move(context)),
          random_(random),
          options_(std::move(options)),
          on_link_(std::move(on_link)) {
        options_.policy.path = url_.path;
    }
    WsArrivals(const WsArrivals&) = delete;
    WsArrivals& operator=(const WsArrivals&) = delete;
    ~WsArrivals() = default;

    /// Before the first connection.
    void limit_replies() {
        if (!options_.on_request) return;
        options_.on_request = [weak = weak_from_this(), answer = std::move(options_.on_request)](
                                  const HttpRequest& request) -> std::optional<HttpReply> {
            const auto self = weak.lock();
            if (!self) return std::nullopt;
            if (self->reply_count_ >= self->options_.replies_max) {
                return HttpReply{503, "text/plain; charset=utf-8", "too many requests at once\n"};
            }
            auto reply = answer(request);
            if (!reply) return reply;
            ++self->reply_count_;
            reply->hold = std::shared_ptr<void>(nullptr, [weak](void*) {
                if (const auto there = weak.lock()) --there->reply_count_;
            });
            return reply;
        };
    }

    void take(Result<TcpAnswer> answer) {
        if (!answer) return on_link_(answer.error());
        if (count_ >= options_.upgrades_max) {
            return on_link_(fail(Errc::over_limit, "too many connections at once: one was cut"));
        }
        const std::string remote = at({url_.scheme, "", {}, ""}, answer->remote);
        if (context_) {
            start(std::make_unique<TlsStream>(std::move(answer->socket), *context_), remote);
        } else {
            start(std::make_unique<PlainStream>(std::move(answer->socket)), remote);
        }
    }

  private:
    template <class Stream>
    void start(std::unique_ptr<Stream> stream, const std::string& remote) {
        // Until it is over: a link has been made, or all that was to be said is.
        const std::shared_ptr<void> counted(nullptr, [weak = weak_from_this()](void*) {
            if (const auto self = weak.lock()) --self->count_;
        });
        ++count_;
        const auto answered = [weak = weak_from_this()](Result<std::unique_ptr<Link>> link) {
            if (const auto self = weak.lock()) self->on_link_(std::move(link));
        };
        const auto accept = std::make_shared<WsAccept<Stream>>(
            std::move(stream), remote, random_, options_, answered, counted);
        pending_.add(accept);
        accept->start();
    }

    Url url_;
    std::shared_ptr<ssl::context> context_;  // Null for ws.
    Random& random_;
    WsOptions options_;
    Transport::OnLink on_link_;
    std::size_t count_ = 0, reply_count_ = 0;
    Pending<WsPending> pending_;  // Cut with it, so that none keeps the executor from its end.
};

class WsListener final : public Listener {
  public:
    WsListener(std::shared_ptr<TcpAcceptor> acceptor,
               std::shared_ptr<WsArrivals> arrivals,
               std::string url)
        : arrivals_(std::move(arrivals)), listener_(std::move(acceptor), std::move(url)) {}
    std::string url() const override { return listener_.url(); }

  private:
    std::shared_ptr<WsArrivals> arrivals_;
    TcpListener listener_;
};

/// One attempt to connect: over TCP, then by a handshake.
class WsDial : public std::enable_shared_from_this<WsDial> {
  public:
    WsDial(const asio::any_io_executor& executor,
           Random& random,
           const WsOptions& options,
           Transport::OnLink on_link)
        : executor_(executor), random_(random), options_(options), on_link_(std::move(on_link)) {}

    void start(const Result<Url>& url, Result<std::shared_ptr<ssl::context>> context) {
        context_ = context ? *context : nullptr;
        const auto connected = [self = shared_from_this(), url](Result<TcpAnswer> answer) {
            if (!answer) return self->answer(answer.error());
            self->shake_hands(*url, *std::move(answer));
        };
        tcp_ = std::make_shared<TcpDial>(executor_, options_.tcp, connected);
        tcp_->start(context || !url ? url : Result<Url>(context.error()));
    }
    void abandon() {
        const Transport::OnLink gone = std::exchange(on_link_, nullptr);
        if (tcp_) tcp_->abandon();
        if (plain_) plain_->abandon();
        if (tls_) tls_->abandon();
    }

  private:
    void shake_hands(const Url& url, TcpAnswer answer) {
        const std::string remote = at(url, answer.remote);
        const auto done = [self = shared_from_this()](Result<std::unique_ptr<Link>> link) {
            self->answer(std::move(link));
        };
        if (!context_) {
            plain_ = std::make_shared<WsUpgrade<PlainStream>>(
                std::make_unique<PlainStream>(std::move(answer.socket)),
                url,
                remote,
                random_,
                options_,
                done);
            return plain_->start();
        }
        auto stream = std::make_unique<TlsStream>(std::move(answer.socket), *context_);
        stream->set_verify_callback(ssl::host_name_verification(url.host));
        if (!literal_endpoint(url)) {
            std::string name = url.host;  // Copied by the call, which takes no const.
            SSL_ctrl(stream->native_handle(),
                     SSL_CTRL_SET_TLSEXT_HOSTNAME,
                     TLSEXT_NAMETYPE_host_name,
                     name.data());
        }
        tls_ = std::make_shared<WsUpgrade<TlsStream>>(
            std::move(stream), url, remote, random_, options_, done);
        tls_->start();
    }
    void answer(Result<std::unique_ptr<Link>> link) {
        const Transport::OnLink on_link = std::exchange(on_link_, nullptr);
        tcp_.reset();
        plain_.reset();
        tls_.reset();
        if (on_link) on_link(std::move(link));
    }

    asio::any_io_executor executor_;
    Random& random_;
    WsOptions options_;
    Transport::OnLink on_link_;  // Empty once answered or abandoned.
    std::shared_ptr<ssl::context> context_;
    std::shared_ptr<TcpDial> tcp_;
    std::shared_ptr<WsUpgrade<PlainStream>> plain_;
    std::shared_ptr<WsUpgrade<TlsStream>> tls_;
};

class WsTransport final : public Transport {
  public:
    WsTransport(asio::any_io_executor executor, Random& random, WsOptions options)
        : executor_(std::move(executor)), random_(random), options_(std::move(options)) {}

    bool accepts(std::string_view url) const override {
        return has_scheme(url, "ws") || has_scheme(url, "wss");
    }
    Result<std::unique_ptr<Listener>> listen(std::string_view text, OnLink on_link) override;
    void connect(std::string_view text, OnLink on_link) override;

  private:
    asio::any_io_executor executor_;
    Random& random_;
    WsOptions options_;
    std::shared_ptr<ssl::context> dialler_context_;  // Made when it is first needed.
    Pending<WsDial> dials_;
};

Result<std::unique_ptr<Listener>> WsTransport::listen(std::string_view text, OnLink on_link) {
    JOINERY_TRY(const Url url, parse_ws_url(text));
    std::shared_ptr<ssl::context> context;
    if (url.scheme == "wss") {
        JOINERY_TRY(context, make_listener_context(options_));
    }
    JOINERY_TRY(const TcpEndpoints endpoints, resolve_now(executor_, url));
    auto arrivals = std::make_shared<WsArrivals>(
        url, std::move(context), random_, options_, std::move(on_link));
    arrivals->limit_replies();
    const auto take = [weak = std::weak_ptr(arrivals)](Result<TcpAnswer> answer) {
        if (const auto there = weak.lock()) there->take(std::move(answer));
    };
    auto acceptor = std::make_shared<TcpAcceptor>(executor_, options_.tcp, take);
    JOINERY_TRY_VOID(acceptor->bind(endpoints.front()));
    acceptor->accept_more();
    std::string bound = at(url, acceptor->endpoint());
    return std::unique_ptr<Listener>(
        std::make_unique<WsListener>(std::move(acceptor), std::move(arrivals), std::move(bound)));
}

void WsTransport::connect(std::string_view text, OnLink on_link) {
    auto dial = std::make_shared<WsDial>(executor_, random_, options_, std::move(on_link));
    dials_.add(dial);
    const Result<Url> url = parse_ws_url(text);
    Result<std::shared_ptr<ssl::context>> context = std::shared_ptr<ssl::context>();
    if (url && url->scheme == "wss") {
        if (!dialler_context_) {
            context = make_dialler_context(options_);
            if (context) dialler_context_ = *context;
        } else {
            context = dialler_context_;
        }
    }
    dial->start(url, std::move(context));
}

}  // namespace
}  // namespace detail

std::unique_ptr<Transport> make_ws_transport(asio::any_io_executor executor,
                                             Random& random,
                                             WsOptions options) {
    return std::make_unique<detail::WsTransport>(std::move(executor), random, std::move(options));
}

}  // namespace joinery::transport
