#include "engine/asio_strand.h"
#include "engine/engine.h"
#include "engine/frame_thread.h"
#include "engine/options.h"
#include "engine/static_files.h"
#include "engine/task_thread.h"
#include "engine/trust.h"
#include "joinery/peer.h"
#include "transport/multicast.h"
#include "transport/tcp_transport.h"
#include "transport/url.h"
#include "transport/ws_transport.h"

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include <future>
#include <thread>

namespace joinery {
namespace detail {
namespace {

// Threads: the app's own (Document calls, under the document's lock); the writer (group commits);
// io (links and sessions); snapshots; callbacks, unless the app gives an executor. They meet in
// DocumentCore, whose lock none of them holds while it waits for another.
class PeerImpl : public Peer {
  public:
    PeerImpl() : work_(asio::make_work_guard(io_)) {}

    ~PeerImpl() override {
        if (!engine_) return;
        engine_->core().close_outboxes();
        strand_.post([this] {
            metrics_listeners_.clear();
            engine_->close();
        });
        work_.reset();
        io_thread_.join();
        // What cannot be stored now is lost: the app was told of it by the log.
        static_cast<void>(flush());
        writer_thread_->post([this] { static_cast<void>(engine_->core().write_acknowledged()); });
        writer_thread_.reset();
        snapshots_.reset();
        callbacks_.reset();
    }

    Result<void> start(std::unique_ptr<Store> store, Options options) {
        JOINERY_TRY_VOID(check_options(options));
        name_ = options.name;
        if (options.clock == nullptr) options.clock = &system_clock();
        if (options.random == nullptr) options.random = &system_random();
        writer_thread_ = std::make_unique<TaskThread>();
        snapshots_ = std::make_unique<TaskThread>();
        auto run_callback = std::exchange(options.executor, {});
        if (!run_callback) {
            callbacks_ = std::make_unique<FrameThread>(options.callback_interval);
            run_callback = [this](std::function<void()> callback) {
                callbacks_->post(std::move(callback));
            };
        }
        std::vector<std::unique_ptr<Transport>> transports;
        transports.push_back(transport::make_tcp_transport(io_.get_executor()));
        transports.push_back(transport::make_ws_transport(
            io_.get_executor(), *options.random, websocket_options(options.websocket)));
        std::unique_ptr<DatagramGroup> group;
        if (options.discover.is_enabled) {
            group = transport::make_multicast_group(io_.get_executor(),
                                                    {options.discover.group,
                                                     options.discover.port,
                                                     options.discover.interface_address});
        }
        JOINERY_TRY(
            engine_,
            Engine::open(
                std::move(store),
                std::move(options),
                Engine::Strands{strand_, *writer_thread_, *snapshots_, std::move(run_callback)},
                std::move(transports),
                std::move(group)));
        io_thread_ = std::thread([this] { io_.run(); });
        return {};
    }

    Result<Document> document(std::string_view id, bool create) override {
        JOINERY_TRY(auto core, engine_->core().open_document(id, create));
        return Document(std::move(core));
    }

    Result<std::vector<std::string>> documents() override { return engine_->core().documents(); }

    Result<void> flush() override {
        engine_->core().flush_transient();
        // Shared: the writer may still be inside set_value() when the answer is here already.
        const auto promise = std::make_shared<std::promise<Result<void>>>();
        auto future = promise->get_future();
        engine_->writer().flush([promise](Result<void> result) { promise->set_value(result); });
        return future.get();
    }

    Result<std::string> listen(std::string_view url) override {
        return on_io<Result<std::string>>([&] { return engine_->links().listen(url); });
    }

    Result<void> connect(std::string_view url) override {
        return on_io<Result<void>>(
            [&] { return engine_->links().keep_connected(std::string(url)); });
    }

    Result<void> connect(std::vector<std::string> urls) override {
        return on_io<Result<void>>(
            [&] { return engine_->links().keep_connected(std::move(urls)); });
    }

    Result<void> disconnect(std::string_view url) override {
        return on_io<Result<void>>([&] { return engine_->links().drop(url); });
    }

    Result<SyncReport> sync(std::string_view url,
                            std::vector<std::string> patterns,
                            std::chrono::milliseconds timeout) override {
        JOINERY_TRY_VOID(flush());
        // Shared: the io thread may still be inside set_value() when the answer is here already.
        const auto promise = std::make_shared<std::promise<Result<SyncReport>>>();
        auto future = promise->get_future();
        strand_.post([this,
                      promise,
                      timeout,
                      to = std::string(url),
                      wanted = std::move(patterns)]() mutable {
            engine_->links().sync(
                std::move(to), std::move(wanted), timeout, [promise](Result<SyncReport> report) {
                    promise->set_value(std::move(report));
                });
        });
        return future.get();
    }

    Result<std::vector<IncarnationChange>> incarnations() override {
        return engine_->core().store().incarnation_changes();
    }

    Result<void> trust(const TrustedPeer& peer) override {
        return trust_peer(engine_->core().store(), peer);
    }
    Result<void> distrust(const DeviceKey& device) override {
        return distrust_peer(engine_->core().store(), device);
    }
    Result<std::vector<TrustedPeer>> trusted() override {
        return trusted_peers(engine_->core().store());
    }

    PeerStatus status() override {
        PeerStatus status = on_io<PeerStatus>([&] {
            PeerStatus out;
            out.links = engine_->links().status();
            if (engine_->lan() != nullptr) out.nearby = engine_->lan()->nearby();
            out.divergence_count = engine_->links().divergence_count();
            out.cut_count = engine_->links().cut_count();
            out.received_size = engine_->links().received_size();
            out.sent_size = engine_->links().sent_size();
            return out;
        });
        status.unacknowledged_count = engine_->core().unacknowledged_count();
        status.name = name_;
        status.device = engine_->core().device();
        status.actor = engine_->core().author().actor;
        return status;
    }

    std::vector<Metric> metrics() override {
        return on_io<std::vector<Metric>>([&] { return engine_->metrics(); });
    }

    Result<std::string> serve_metrics(std::string_view address) override {
        const std::string url = "ws://" + std::string(address);
        JOINERY_TRY(const auto parts, transport::parse_url(url));
        if (!parts.port || !parts.path.empty() || !transport::is_loopback(parts.host)) {
            return fail(Errc::malformed, "metrics are served at an ADDRESS:PORT of loopback alone");
        }
        return on_io<Result<std::string>>([&] { return listen_for_metrics(url); });
    }

  private:
    Result<std::string> listen_for_metrics(const std::string& url) {
        transport::WsOptions options;
        options.on_request =
            [this](const transport::HttpRequest& request) -> std::optional<transport::HttpReply> {
            if (!request.is_of_loopback || request.target != "/metrics") {
                return transport::HttpReply{404, "text/plain", "metrics are at /metrics\n"};
            }
            return transport::HttpReply{
                200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(engine_->metrics())};
        };
        const auto transport =
            transport::make_ws_transport(io_.get_executor(), system_random(), std::move(options));
        // Whoever wants a link here is at the wrong port: it ends as it comes.
        JOINERY_TRY(auto listener, transport->listen(url, [](auto) {}));
        metrics_listeners_.push_back(std::move(listener));
        std::string bound = metrics_listeners_.back()->url();
        return "http" + bound.substr(bound.find(':')) + "metrics";
    }

    /// For the links' transport.
    static transport::WsOptions websocket_options(const WebSocketOptions& own) {
        transport::WsOptions out;
        out.policy.hosts = own.hosts;
        out.policy.origins = own.origins;
        out.policy.token = out.token = own.token;
        out.certificate_file = own.certificate_file;
        out.key_file = own.key_file;
        out.authorities_file = own.authorities_file;
        if (!own.files.empty()) {
            out.on_request = [files = own.files](const transport::HttpRequest& request) {
                return std::optional(serve_file(files, request.target));
            };
        }
        return out;
    }

    /// Runs @p body on the io thread and waits for its answer.
    template <class T, class Body>
    T on_io(Body&& body) {
        const auto promise = std::make_shared<std::promise<T>>();
        auto future = promise->get_future();
        strand_.post([promise, &body] { promise->set_value(body()); });
        return future.get();
    }

    std::string name_;
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    AsioStrand strand_{io_};
    std::vector<std::unique_ptr<Listener>> metrics_listeners_;  // On the io thread.
    std::unique_ptr<FrameThread> callbacks_;
    std::unique_ptr<TaskThread> snapshots_;
    std::unique_ptr<TaskThread> writer_thread_;
    std::unique_ptr<Engine> engine_;
    std::thread io_thread_;
};

}  // namespace
}  // namespace detail

Result<std::unique_ptr<Peer>> Peer::open(std::unique_ptr<Store> store, Options options) {
    auto peer = std::make_unique<detail::PeerImpl>();
    JOINERY_TRY_VOID(peer->start(std::move(store), std::move(options)));
    return std::unique_ptr<Peer>(std::move(peer));
}

}  // namespace joinery
