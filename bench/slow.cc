// W16: one reader behind a line of 56 kbit/s, and what the writer and another reader notice of it.

#include "bench/hub.h"

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <malloc.h>

namespace joinery::bench {
namespace {

using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr std::size_t kWidgets = 500;
/// 56 kbit/s, in steps.
constexpr std::chrono::milliseconds kStep = 50ms;
constexpr std::size_t kStepSize = 350;

/// Takes one connection and passes on 56 kbit/s in each direction.
class SlowLine {
  public:
    explicit SlowLine(const std::string& port)
        : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}) {
        // So that what waits does so at the sender, not in the system on the way.
        acceptor_.set_option(tcp::socket::receive_buffer_size(4096));
        far_.open(tcp::v4());
        far_.set_option(tcp::socket::receive_buffer_size(4096));
        far_.connect(
            {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(std::stoul(port))});
        acceptor_.async_accept([this](const asio::error_code& error, tcp::socket socket) {
            if (error) return;
            near_ = std::move(socket);
            pass(near_, far_, up_);
            pass(far_, near_, down_);
        });
        thread_ = std::thread([this] { io_.run(); });
    }
    SlowLine(const SlowLine&) = delete;
    SlowLine& operator=(const SlowLine&) = delete;
    ~SlowLine() {
        io_.stop();
        thread_.join();
    }
    std::string url() const {
        return "tcp://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
    }
    std::uint64_t passed() const noexcept { return passed_; }

  private:
    struct Way {
        std::array<char, kStepSize> bytes{};
        std::unique_ptr<asio::steady_timer> timer;
    };
    void pass(tcp::socket& from, tcp::socket& to, Way& way) {
        from.async_read_some(asio::buffer(way.bytes),
                             [&](const asio::error_code& error, std::size_t size) {
                                 if (error) return;
                                 passed_ += size;
                                 asio::error_code ignored;
                                 asio::write(to, asio::buffer(way.bytes, size), ignored);
                                 way.timer = std::make_unique<asio::steady_timer>(io_, kStep);
                                 way.timer->async_wait([&](const asio::error_code& late) {
                                     if (!late) pass(from, to, way);
                                 });
                             });
    }

    asio::io_context io_{1};
    tcp::acceptor acceptor_;
    tcp::socket near_{io_}, far_{io_};
    Way up_, down_;
    std::atomic<std::uint64_t> passed_{0};
    std::thread thread_;
};

struct Outcome {
    std::vector<double> writes;       ///< Microseconds in transact().
    std::vector<double> arrivals;     ///< Microseconds until the quick reader's callback.
    std::uint64_t half = 0, end = 0;  ///< Bytes allocated in this process.
    std::uint64_t lag = 0;            ///< Changes that the slow reader lacks at the end.
};

Outcome write_to(bool has_slow_reader, std::size_t count) {
    const Folder folder("/dev/shm");
    const auto writer = open_peer(folder.path());
    const auto url = writer->listen("tcp://127.0.0.1:0");
    check(url.has_value(), "listening");
    auto document = *writer->document("all/one");
    const auto fill = [](Tx& tx) {
        return tx.set("/w", Plain(PlainArray(kWidgets, Plain(Value(std::int64_t{0})))));
    };
    check(document.transact(fill).has_value(), "first change");
    std::vector<Clock::time_point> made(count);
    Outcome outcome;
    outcome.writes.reserve(count);
    outcome.arrivals.reserve(count);
    // Before what it is called from.
    std::atomic<std::size_t> arrived{0};
    Crowd crowd;
    crowd.add(*url, "all/one", [&](const Event& event) {
        const auto now = Clock::now();
        for (const Patch& patch : event.patches) {
            if (!patch.value.is_scalar()) continue;
            const auto number = static_cast<std::size_t>(patch.value.scalar().as_integer());
            outcome.arrivals.push_back(
                std::chrono::duration<double, std::micro>(now - made[number]).count());
            arrived = number;
        }
    });
    std::unique_ptr<SlowLine> line;
    if (has_slow_reader) {
        line = std::make_unique<SlowLine>(url->substr(url->rfind(':') + 1));
        crowd.add(line->url(), "all/one", [](const Event&) {});
    }
    while (crowd.count_in_step() != crowd.size())
        std::this_thread::sleep_for(20ms);
    auto next = Clock::now();
    for (std::size_t i = 1; i < count; ++i) {
        std::this_thread::sleep_until(next += 1ms);
        made[i] = Clock::now();
        const auto body = [&](Tx& tx) {
            return tx.set("/w/" + std::to_string(i % kWidgets),
                          Value(static_cast<std::int64_t>(i)));
        };
        check(document.transact(body).has_value(), "change");
        outcome.writes.push_back(
            std::chrono::duration<double, std::micro>(Clock::now() - made[i]).count());
        if (i == count / 2) outcome.half = mallinfo2().uordblks;
    }
    while (arrived + 1 < count)
        std::this_thread::sleep_for(1ms);
    outcome.end = mallinfo2().uordblks;
    if (has_slow_reader) {
        outcome.lag =
            document.status()->change_count - crowd.document(1, "all/one").status()->change_count;
    }
    return outcome;
}

double of(std::vector<double> values, std::size_t percent) {
    std::ranges::sort(values);
    return values[values.size() * percent / 100];
}

}  // namespace

std::vector<Metric> run_w16(const Size& size) {
    Report report("W16", std::max<std::size_t>(size.of(60'000), 5'000));
    for (const bool is_slow : {false, true}) {
        const Outcome outcome = write_to(is_slow, report.count());
        const std::string with = is_slow ? "with." : "without.";
        report.add(with + "write.p50", "us", of(outcome.writes, 50));
        report.add(with + "write.p99", "us", of(outcome.writes, 99));
        report.add(with + "other.p50", "us", of(outcome.arrivals, 50));
        report.add(with + "other.p99", "us", of(outcome.arrivals, 99));
        report.add(with + "memory.half", "bytes", static_cast<double>(outcome.half));
        report.add(with + "memory.end", "bytes", static_cast<double>(outcome.end));
        if (is_slow) report.add("slow.lacks", "changes", static_cast<double>(outcome.lag));
    }
    return report.take();
}

}  // namespace joinery::bench
