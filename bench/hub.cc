#include "bench/hub.h"

#include "engine/asio_strand.h"
#include "engine/engine.h"
#include "transport/tcp_transport.h"

#include <asio/post.hpp>

#include <array>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX says so.

namespace joinery::bench {

// --- The hub -------------------------------------------------------------------------------------

void serve_hub(const std::string& folder) {
    auto store = open_store(folder);
    check(store.has_value(), "store");
    Options options;
    options.links.handshakes_per_second = LinkOptions::kRateMax;
    options.links.handshakes_of_host_per_second = LinkOptions::kRateMax;
    options.authorize = [numbers = std::make_shared<std::map<DeviceKey, std::size_t>>()](
                            const LinkRequest& request) -> std::optional<Access> {
        const std::size_t number =
            numbers->try_emplace(request.device, numbers->size()).first->second;
        const std::vector<std::string> names{"of/" + std::to_string(number) + "/*", "all/*"};
        return Access{names, names};
    };
    const auto peer = Peer::open(*std::move(store), std::move(options));
    check(peer.has_value(), "peer");
    const auto url = (*peer)->listen("tcp://127.0.0.1:0");
    check(url.has_value(), "listening");
    std::printf("%s\n", url->c_str());
    std::fflush(stdout);
    std::array<char, 64> ignored{};
    while (read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) {
    }
}

Hub::Hub(const std::string& folder) {
    std::array<int, 2> in{}, out{};
    check(pipe(in.data()) == 0 && pipe(out.data()) == 0, "pipes");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    for (const int end : {in[0], in[1], out[0], out[1]})
        posix_spawn_file_actions_addclose(&actions, end);
    std::string program = "/proc/self/exe", serve = "--serve", where = folder;
    std::array<char*, 4> arguments{program.data(), serve.data(), where.data(), nullptr};
    const int failed =
        posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    check(failed == 0, "hub");
    stdin_ = in[1];
    char c = 0;
    while (read(out[0], &c, 1) == 1 && c != '\n')
        url_.push_back(c);
    close(out[0]);
    check(!url_.empty(), "URL of the hub");
}

Hub::~Hub() {
    close(stdin_);
    waitpid(pid_, nullptr, 0);
}

std::uint64_t Hub::memory() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/smaps_rollup");
    std::string word;
    while (file >> word) {
        std::uint64_t kilobytes = 0;
        if (word == "Private_Dirty:" && file >> kilobytes) return kilobytes * 1024;
    }
    throw std::runtime_error("the system does not tell a process's memory");
}

// --- The crowd -----------------------------------------------------------------------------------

struct Crowd::Member {
    persist::MemoryDisk disk;
    std::unique_ptr<detail::Engine> engine;
    Subscription watch;
};

Crowd::Crowd() : strand_(std::make_unique<detail::AsioStrand>(io_)) {
    thread_ = std::thread([this] { io_.run(); });
}

Crowd::~Crowd() {
    run([this] {
        for (const auto& member : members_)
            member->engine->close();
    });
    work_.reset();
    io_.stop();
    thread_.join();
    members_.clear();
}

void Crowd::run(const std::function<void()>& body) {
    std::promise<void> done;
    asio::post(io_, [&] {
        body();
        done.set_value();
    });
    done.get_future().wait();
}

void Crowd::add(const std::string& url,
                const std::string& id,
                std::function<void(const Event&)> on_event) {
    run([&] {
        auto member = std::make_unique<Member>();
        auto store = persist::open_memory_store(member->disk, system_random());
        check(store.has_value(), "store in memory");
        Options options;
        options.clock = &system_clock();
        options.random = &system_random();
        options.authorize = let_everybody_in;
        std::vector<std::unique_ptr<Transport>> transports;
        transports.push_back(transport::make_tcp_transport(io_.get_executor()));
        auto engine =
            detail::Engine::open(*std::move(store),
                                 std::move(options),
                                 {*strand_,
                                  *strand_,
                                  *strand_,
                                  [](const std::function<void()>& callback) { callback(); }},
                                 std::move(transports));
        check(engine.has_value(), "engine");
        member->engine = *std::move(engine);
        Document document(*member->engine->core().open_document(id, true));
        member->watch = document.observe("", std::move(on_event));
        check(member->engine->links().keep_connected(url).has_value(), "link");
        members_.push_back(std::move(member));
    });
}

std::size_t Crowd::count_in_step() {
    std::size_t count = 0;
    run([&] {
        for (const auto& member : members_) {
            const auto links = member->engine->links().status();
            const bool is_in_step =
                !links.empty() && links[0].state == LinkState::online && links[0].in_step;
            count += is_in_step ? 1U : 0U;
        }
    });
    return count;
}

Document Crowd::document(std::size_t member, const std::string& id) {
    return Document(*members_[member]->engine->core().open_document(id, true));
}

}  // namespace joinery::bench
