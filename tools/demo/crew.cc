#include "tools/demo/crew.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace joinery::tools {
namespace {

constexpr timespec kPatience{20, 0};

/// Waits until @p file can be read or has ended. The one place where a held interrupt is let in, so
/// that none comes too early to be noticed.
Result<void> await_input(int file) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    sigdelset(&mask, SIGINT);
    sigdelset(&mask, SIGTERM);
    pollfd waiting{file, POLLIN, 0};
    const int ready = ppoll(&waiting, 1, &kPatience, &mask);
    if (ready < 0) return fail(Errc::io, "interrupted");
    if (ready == 0) return fail(Errc::busy, "a peer did not answer in time");
    return {};
}

void ignore_signal(int) {}

/// Cuts off and answers what stands before the first space.
std::string_view take_word(std::string_view& text) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
}

/// "NANOS PATH<tab>JSON".
std::optional<Sighting> parse_sighting(std::string_view text) {
    Sighting sighting;
    const std::string_view time = take_word(text);
    std::int64_t nanoseconds = 0;
    std::from_chars(time.data(), time.data() + time.size(), nanoseconds);
    const std::size_t tab = text.find('\t');
    if (tab == std::string_view::npos) return std::nullopt;
    sighting.time = SharedTime(nanoseconds);
    sighting.path = text.substr(0, tab);
    sighting.value = text.substr(tab + 1);
    return sighting;
}

}  // namespace

void hold_interrupts() {
    sigset_t held;
    sigemptyset(&held);
    struct sigaction action{};
    action.sa_handler = ignore_signal;
    for (const int signal : {SIGINT, SIGTERM}) {
        sigaddset(&held, signal);
        sigaction(signal, &action, nullptr);
    }
    pthread_sigmask(SIG_BLOCK, &held, nullptr);
}

double percentile(std::vector<double> values, double part) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const auto rank =
        static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(rank, 1) - 1];
}

SharedTime shared_now() {
    // On Linux one clock for the whole machine, so that two processes may compare its times.
    return std::chrono::steady_clock::now().time_since_epoch();
}

CrewMember::~CrewMember() { kill(); }

void CrewMember::close_pipes() {
    for (int* pipe : {&to_, &from_}) {
        if (*pipe >= 0) close(*pipe);
        *pipe = -1;
    }
    buffer_.clear();
    sightings_.clear();
}

Result<void> CrewMember::start() {
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    if (pipe2(in, O_CLOEXEC) != 0) return fail(Errc::io, "no pipe to be had");
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return fail(Errc::io, "no pipe to be had");
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::vector<std::string> arguments{"joinery", "demo-peer", "--store", store_, "--name", name_};
    std::vector<char*> pointers;
    for (std::string& argument : arguments)
        pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    // Ctrl-C reaches the whole group; it is for the demo, which then ends its peers in order.
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &held);
    const int status =
        posix_spawn(&process_, "/proc/self/exe", &actions, &attributes, pointers.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = out[0];
    if (status != 0) {
        process_ = -1;
        return fail(Errc::io, "the process of a peer did not start");
    }
    JOINERY_TRY(const std::string urls, next_line());
    const std::size_t space = std::min(urls.find(' '), urls.size());
    url_ = urls.substr(0, space);
    websocket_url_ = urls.substr(std::min(space + 1, urls.size()));
    return {};
}

void CrewMember::kill() {
    if (process_ > 0) {
        ::kill(process_, SIGKILL);
        waitpid(process_, nullptr, 0);
    }
    process_ = -1;
    close_pipes();
}

Result<void> CrewMember::stop() {
    close(to_);
    to_ = -1;
    // Its output ends with it; what it still says is not for us.
    auto said = read_line();
    while (said)
        said = read_line();
    if (said.error().code != Errc::disconnected) return said.error();
    int status = 0;
    const pid_t ended = waitpid(process_, &status, 0);
    if (ended < 0) return fail(Errc::io, "a peer's process is not to be waited for");
    process_ = -1;
    close_pipes();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return fail(Errc::io, "a peer's process ended badly");
    }
    return {};
}

Result<void> CrewMember::tell(std::string_view command) {
    std::string line(command);
    line += '\n';
    for (std::size_t done = 0; done < line.size();) {
        const ssize_t size = write(to_, line.data() + done, line.size() - done);
        if (size < 0) return fail(Errc::io, "a peer is gone");
        done += static_cast<std::size_t>(size);
    }
    return {};
}

Result<std::string> CrewMember::read_line() {
    while (true) {
        const std::size_t end = buffer_.find('\n');
        if (end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        JOINERY_TRY_VOID(await_input(from_));
        char block[4096];
        const ssize_t size = read(from_, block, sizeof block);
        if (size < 0) return fail(Errc::io, "a peer's output cannot be read");
        if (size == 0) return fail(Errc::disconnected, "a peer's process ended");
        buffer_.append(block, static_cast<std::size_t>(size));
    }
}

Result<std::string> CrewMember::next_line() {
    while (true) {
        JOINERY_TRY(const std::string line, read_line());
        std::string_view rest = line;
        if (take_word(rest) != "saw") return line;
        if (auto sighting = parse_sighting(rest)) sightings_.push_back(*std::move(sighting));
    }
}

Result<std::string> CrewMember::ask(std::string_view command) {
    JOINERY_TRY_VOID(tell(command));
    JOINERY_TRY(const std::string line, next_line());
    std::string_view rest = line;
    if (take_word(rest) == "ok") return std::string(rest);
    complaint_ = rest;
    return fail(Errc::conflict, "a peer refused a command");
}

Result<SharedTime> CrewMember::wait_for(std::string_view path, std::string_view value) {
    while (true) {
        while (!sightings_.empty()) {
            const Sighting sighting = std::move(sightings_.front());
            sightings_.pop_front();
            if (sighting.path == path && sighting.value == value) return sighting.time;
        }
        JOINERY_TRY(const std::string line, read_line());
        std::string_view rest = line;
        if (take_word(rest) != "saw") return fail(Errc::malformed, "an answer nobody asked for");
        if (auto sighting = parse_sighting(rest)) sightings_.push_back(*std::move(sighting));
    }
}

}  // namespace joinery::tools
