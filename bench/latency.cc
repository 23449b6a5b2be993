// W11: from a transaction to the other peer's callback, over TCP and the secure channel. W12: as
// many changes as go through there, beside the transport's messages alone.

#include "bench/folder.h"
#include "bench/measure.h"
#include "joinery/document.h"
#include "joinery/peer.h"
#include "transport/tcp_transport.h"

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

namespace joinery::bench {
namespace {

using Moment = std::chrono::steady_clock::time_point;
using std::chrono_literals::operator""ms;

/// Where a disk answers at once, and where it is one.
const std::filesystem::path kMemory = "/dev/shm";

struct Setup {
    std::filesystem::path folder;
    bool durable_first = false;
};

/// Two peers with a link, in one process, and a document that both have.
class Pair {
  public:
    explicit Pair(const Setup& setup) : folder_(setup.folder) {
        for (const char* name : {"from", "to"}) {
            auto store = open_store(folder_.path() / name);
            check(store.has_value(), "store");
            Options options;
            options.durable_first = setup.durable_first;
            options.authorize = let_everybody_in;
            peers_.push_back(*Peer::open(*std::move(store), std::move(options)));
        }
        const auto url = peers_[1]->listen("tcp://127.0.0.1:0");
        check(url.has_value() && peers_[0]->connect(*url).has_value(), "link");
        auto copy = to();
        std::promise<void> there;
        std::atomic<bool> is_there{false};
        const auto watch = copy.observe("/n", [&](const Event&) {
            if (!is_there.exchange(true)) there.set_value();
        });
        auto document = from();
        const auto made =
            document.transact([](Tx& tx) { return tx.set("/n", Value(std::int64_t{-1})); });
        check(made.has_value(), "first change");
        there.get_future().wait();
    }
    Document from() const { return *peers_[0]->document("bench"); }
    Document to() const { return *peers_[1]->document("bench"); }

  private:
    Folder folder_;
    std::vector<std::unique_ptr<Peer>> peers_;
};

/// Numbers that arrive at a callback, each with its moment; a later one stands for those before it.
class Arrivals {
  public:
    Arrivals(Document document, std::size_t count) : moments_(count), document_(document) {
        watch_ = document_.observe("/n", [this](const Event& event) {
            const Moment now = std::chrono::steady_clock::now();
            const auto number =
                static_cast<std::size_t>(event.patches.back().value.scalar().as_integer());
            for (std::size_t i = next_; i <= number; ++i)
                moments_[i] = now;
            next_ = number + 1;
            next_.notify_one();
        });
    }
    void wait_for(std::size_t number) const {
        for (std::size_t next = next_; next <= number; next = next_)
            next_.wait(next);
    }
    Moment operator[](std::size_t number) const { return moments_[number]; }

  private:
    std::vector<Moment> moments_;
    std::atomic<std::size_t> next_{0};
    Document document_;
    Subscription watch_;
};

struct Pace {
    std::string name;
    std::chrono::milliseconds interval;
    bool is_one_by_one = false;  ///< The next only when the last has come.
};

void measure_latency(Report& report, const std::string& label, const Setup& setup, Pace pace) {
    const Pair pair(setup);
    auto document = pair.from();
    const std::size_t count = report.count();
    Arrivals arrivals(pair.to(), count);
    std::vector<Moment> sent(count);
    Moment next = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < count; ++i) {
        std::this_thread::sleep_until(next);
        sent[i] = std::chrono::steady_clock::now();
        const auto body = [&](Tx& tx) { return tx.set("/n", Value(static_cast<std::int64_t>(i))); };
        check(document.transact(body).has_value(), "change");
        if (pace.is_one_by_one) {
            arrivals.wait_for(i);
            next = std::chrono::steady_clock::now();
        }
        next += pace.interval;
    }
    arrivals.wait_for(count - 1);
    std::vector<double> times;
    for (std::size_t i = 0; i < count; ++i)
        times.push_back(std::chrono::duration<double, std::micro>(arrivals[i] - sent[i]).count());
    std::ranges::sort(times);
    const std::string name = label + "." + pace.name;
    report.add(name + ".p50", "us", times[count / 2]);
    report.add(name + ".p99", "us", times[count * 99 / 100]);
}

// --- Throughput ----------------------------------------------------------------------------------

constexpr std::size_t kValueSize = 100;

/// Changes of one value of 100 bytes each, one after the other.
double stream_changes(const Setup& setup, std::size_t count) {
    const Pair pair(setup);
    auto document = pair.from();
    auto copy = pair.to();
    std::promise<void> last;
    const auto watch = copy.observe("/end", [&](const Event&) { last.set_value(); });
    const std::string text(kValueSize - 8, 'x');
    const double time = milliseconds([&] {
        for (std::size_t i = 0; i < count; ++i) {
            const auto body = [&](Tx& tx) {
                return tx.set(i + 1 == count ? "/end" : "/value",
                              Value(text + std::to_string(10'000'000 + i)));
            };
            check(document.transact(body).has_value(), "change");
        }
        last.get_future().wait();
    });
    check(copy.status()->digest == document.status()->digest, "equal digests");
    return time;
}

/// A transport on a thread of its own.
class Wire {
  public:
    Wire() : transport_(transport::make_tcp_transport(io_.get_executor())) {
        thread_ = std::thread([this] { io_.run(); });
    }
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;
    ~Wire() {
        run([this] {
            link.reset();
            listener.reset();
            transport_.reset();
        });
        work_.reset();
        thread_.join();
    }
    template <class Body>
    void run(Body body) {
        std::promise<void> done;
        asio::post(io_, [&] {
            body();
            done.set_value();
        });
        done.get_future().wait();
    }
    Transport& transport() { return *transport_; }

    std::unique_ptr<Listener> listener;
    std::unique_ptr<Link> link;

  private:
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::unique_ptr<Transport> transport_;
    std::thread thread_;
};

/// Messages of as many bytes as the values have, over the transport alone.
double stream_messages(std::size_t count) {
    Wire from, to;
    std::string url;
    std::promise<void> last, linked;
    std::size_t received = 0;
    Link::Events hears;
    hears.on_message = [&](ByteView) {
        if (++received == count) last.set_value();
    };
    hears.on_closed = [](const Result<void>&) {};
    to.run([&] {
        to.listener = *to.transport().listen("tcp://127.0.0.1:0", [&](auto link) {
            to.link = *std::move(link);
            to.link->start(std::move(hears));
        });
        url = to.listener->url();
    });
    const Bytes message(kValueSize, 1);
    std::size_t sent = 0;
    const auto pump = [&] {
        while (sent < count && from.link->send(message).has_value())
            ++sent;
    };
    from.run([&] {
        from.transport().connect(url, [&](auto link) {
            from.link = *std::move(link);
            from.link->start({[](ByteView) {}, [](const Result<void>&) {}, pump});
            linked.set_value();
        });
    });
    linked.get_future().wait();
    return milliseconds([&] {
        from.run(pump);
        last.get_future().wait();
    });
}

std::vector<Metric> run_w11(const Size& size) {
    Report report("W11", size.of(4000));
    for (const auto& [where, folder] :
         {std::pair(std::string("memory"), kMemory),
          std::pair(std::string("lmdb"), std::filesystem::temp_directory_path())}) {
        for (const bool durable_first : {false, true}) {
            const std::string label = where + (durable_first ? ".durable" : "");
            const Setup setup{folder, durable_first};
            measure_latency(report, label, setup, {"single", 2ms, true});
            measure_latency(report, label, setup, {"1khz", 1ms, false});
        }
    }
    return report.take();
}

std::vector<Metric> run_w12(const Size& size) {
    Report report("W12", size.of(200'000));
    const double raw = stream_messages(report.count());
    const double changes = stream_changes({kMemory, false}, report.count());
    const double on_disk =
        stream_changes({std::filesystem::temp_directory_path(), false}, report.count());
    report.rate("raw", raw);
    report.rate("memory", changes);
    report.rate("lmdb", on_disk);
    report.add("memory.share", "%", 100 * raw / changes);
    report.add("lmdb.share", "%", 100 * raw / on_disk);
    return report.take();
}

}  // namespace

std::vector<Metric> run_links(std::string_view name, const Size& size) {
    return name == "W11" ? run_w11(size) : run_w12(size);
}

}  // namespace joinery::bench
