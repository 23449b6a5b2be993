#include "engine/core.h"
#include "engine/links.h"
#include "engine/task_thread.h"
#include "engine/writer.h"
#include "joinery/peer.h"

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <atomic>
#include <future>
#include <thread>

namespace joinery {
namespace detail {
namespace {

constexpr std::size_t kNameSizeMax = 64;

// Threads: the app's own (Document calls, under the document's lock); the writer (group commits);
// io (links and sessions); snapshots; callbacks, unless the app gives an executor. They meet in
// DocumentCore, whose lock none of them holds while it waits for another.
class PeerImpl : public Peer {
  public:
    explicit PeerImpl(Options options)
        : options_(std::move(options)), work_(asio::make_work_guard(io_)) {}

    ~PeerImpl() override {
        if (io_thread_.joinable()) {
            asio::post(io_, [this] { links_->close(); });
            work_.reset();
            io_thread_.join();
        }
        writer_.reset();
        snapshots_.reset();
        callbacks_.reset();
    }

    Result<void> start(std::unique_ptr<Store> store) {
        if (options_.name.size() > kNameSizeMax) {
            return fail(Errc::over_limit, "a peer's name has at most 64 bytes");
        }
        clock_ = options_.clock != nullptr ? options_.clock : &system_clock();
        Random& random = options_.random != nullptr ? *options_.random : system_random();
        if (!options_.executor) callbacks_ = std::make_unique<TaskThread>();
        snapshots_ = std::make_unique<TaskThread>();
        Core::Hooks hooks;
        hooks.on_pending = [this] {
            if (writer_) writer_->wake();
        };
        hooks.run_callback = [this](std::function<void()> callback) {
            if (callbacks_) {
                callbacks_->post(std::move(callback));
            } else {
                options_.executor(std::move(callback));
            }
        };
        JOINERY_TRY(core_, Core::open(std::move(store), *clock_, random, std::move(hooks)));
        links_ = std::make_unique<Links>(
            io_,
            *core_,
            *clock_,
            Links::Options{options_.name,
                           core_->proof().device,
                           [this](LogLevel level, const std::string& text) { log(level, text); }});
        Writer::Options writer_options;
        writer_options.flush_interval = options_.flush_interval;
        writer_options.poll_interval = options_.poll_interval;
        writer_options.on_changed = [this](const Core::Changed& changed) { committed(changed); };
        writer_options.on_error = [this](const Error& error) {
            log(LogLevel::error,
                "changes could not be stored, trying again: " + std::string(error.what));
        };
        writer_ = std::make_unique<Writer>(*core_, std::move(writer_options));
        io_thread_ = std::thread([this] { io_.run(); });
        return {};
    }

    Result<Document> document(std::string_view id, bool create) override {
        JOINERY_TRY(auto core, core_->open_document(id, create));
        return Document(std::move(core));
    }

    Result<std::vector<std::string>> documents() override { return core_->documents(); }

    Result<void> flush() override { return writer_->flush(); }

    Result<std::string> listen(std::string_view url) override {
        return on_io<Result<std::string>>([&] { return links_->listen(url); });
    }

    Result<void> connect(std::string_view url) override {
        return on_io<Result<void>>([&]() -> Result<void> {
            links_->keep_connected(std::string(url));
            return {};
        });
    }

    Result<SyncReport> sync(std::string_view url,
                            std::vector<std::string> patterns,
                            std::chrono::milliseconds timeout) override {
        JOINERY_TRY_VOID(flush());
        // Shared: the io thread may still be inside set_value() when the answer is here already.
        const auto promise = std::make_shared<std::promise<Result<SyncReport>>>();
        auto future = promise->get_future();
        asio::post(io_,
                   [this,
                    promise,
                    timeout,
                    to = std::string(url),
                    wanted = std::move(patterns)]() mutable {
                       links_->sync(std::move(to),
                                    std::move(wanted),
                                    timeout,
                                    [promise](Result<SyncReport> report) {
                                        promise->set_value(std::move(report));
                                    });
                   });
        return future.get();
    }

    PeerStatus status() override {
        PeerStatus status = on_io<PeerStatus>([&] {
            PeerStatus out;
            out.links = links_->status();
            out.divergence_count = links_->divergence_count();
            return out;
        });
        status.name = options_.name;
        status.device = core_->proof().device;
        status.actor = core_->actor();
        return status;
    }

  private:
    /// Runs @p body on the io thread and waits for its answer.
    template <class T, class Body>
    T on_io(Body&& body) {
        const auto promise = std::make_shared<std::promise<T>>();
        auto future = promise->get_future();
        asio::post(io_, [promise, &body] { promise->set_value(body()); });
        return future.get();
    }

    void log(LogLevel level, std::string_view text) {
        if (options_.log) options_.log(level, text);
    }

    /// On the writer's thread.
    void committed(const Core::Changed& changed) {
        bool snapshot_due = false;
        for (const auto& document : changed) {
            snapshot_due =
                snapshot_due || document->snapshot_due(options_.snapshot_interval).has_value();
            asio::post(io_, [this, document] { links_->document_changed(document->id()); });
        }
        if (!snapshot_due || snapshotting_.exchange(true)) return;
        snapshots_->post([this] {
            snapshotting_ = false;
            const auto made = core_->make_snapshots(options_.snapshot_interval);
            if (!made) {
                log(LogLevel::warning,
                    "a snapshot could not be made: " + std::string(made.error().what));
            }
        });
    }

    Options options_;
    Clock* clock_ = nullptr;
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::unique_ptr<Core> core_;
    std::unique_ptr<TaskThread> callbacks_;
    std::unique_ptr<TaskThread> snapshots_;
    std::unique_ptr<Links> links_;
    std::unique_ptr<Writer> writer_;
    std::atomic<bool> snapshotting_{false};
    std::thread io_thread_;
};

}  // namespace
}  // namespace detail

Result<std::unique_ptr<Peer>> Peer::open(std::unique_ptr<Store> store, Options options) {
    auto peer = std::make_unique<detail::PeerImpl>(std::move(options));
    JOINERY_TRY_VOID(peer->start(std::move(store)));
    return std::unique_ptr<Peer>(std::move(peer));
}

}  // namespace joinery
