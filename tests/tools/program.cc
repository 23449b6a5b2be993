#include "tests/tools/program.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace joinery::testing {
namespace {

constexpr int kPatienceMs = 30000;

/// Starts @p program with these as its standard streams.
pid_t start(const char* program, const Arguments& arguments, int in, int out, int err) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    Arguments all{program};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& argument : all)
        pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_t process = -1;
    const int status = posix_spawn(&process, program, &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (status != 0) throw std::runtime_error("cannot start " + std::string(program));
    return process;
}

int wait_status(pid_t process) {
    int status = 0;
    while (waitpid(process, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A file without a name, so that no output is too long for it.
int unnamed_file() {
    std::string name = (std::filesystem::temp_directory_path() / "joinery-out-XXXXXX").string();
    const int file = mkostemp(name.data(), O_CLOEXEC);
    if (file < 0) throw std::runtime_error("no temporary file");
    unlink(name.c_str());
    return file;
}

std::string read_all(int file) {
    std::string text;
    char block[4096];
    lseek(file, 0, SEEK_SET);
    for (ssize_t size = 0; (size = read(file, block, sizeof block)) > 0;)
        text.append(block, static_cast<std::size_t>(size));
    close(file);
    return text;
}

Outcome run(const char* program, const Arguments& arguments, std::string_view input) {
    const int in = unnamed_file();
    if (write(in, input.data(), input.size()) != static_cast<ssize_t>(input.size())) {
        throw std::runtime_error("cannot write a temporary file");
    }
    lseek(in, 0, SEEK_SET);
    const int out = unnamed_file();
    const int err = unnamed_file();
    Outcome outcome;
    outcome.status = wait_status(start(program, arguments, in, out, err));
    close(in);
    outcome.out = read_all(out);
    outcome.err = read_all(err);
    return outcome;
}

}  // namespace

Outcome run_program(const Arguments& arguments, std::string_view input) {
    return run(JOINERY_PROGRAM, arguments, input);
}

Outcome run_shell(const std::string& script) {
    const std::string folder = std::filesystem::path(JOINERY_PROGRAM).parent_path().string();
    return run("/bin/sh", {"-c", "PATH='" + folder + "':\"$PATH\"\n" + script}, {});
}

Running::Running(const Arguments& arguments, bool with_errors) {
    int out[2] = {-1, -1};
    if (pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    process_ = start(JOINERY_PROGRAM, arguments, null, out[1], with_errors ? out[1] : null);
    close(null);
    close(out[1]);
    from_ = out[0];
}

Running::~Running() {
    if (process_ > 0) end(SIGKILL);
    close(from_);
}

void Running::signal(int signal) const { ::kill(process_, signal); }

int Running::end(int signal) {
    kill(process_, signal);
    const int status = wait_status(process_);
    process_ = -1;
    return status;
}

std::optional<std::string> Running::next_line() {
    while (true) {
        const std::size_t at = buffer_.find('\n');
        if (at != std::string::npos) {
            std::string line = buffer_.substr(0, at);
            buffer_.erase(0, at + 1);
            return line;
        }
        pollfd waiting{from_, POLLIN, 0};
        if (poll(&waiting, 1, kPatienceMs) <= 0) return std::nullopt;
        char block[4096];
        const ssize_t size = read(from_, block, sizeof block);
        if (size <= 0) return std::nullopt;
        buffer_.append(block, static_cast<std::size_t>(size));
    }
}

std::string Running::wait_for(std::string_view start_of_line) {
    while (true) {
        const auto line = next_line();
        if (line && line->starts_with(start_of_line)) return line->substr(start_of_line.size());
        if (!line) {
            ADD_FAILURE() << "no line that starts with '" << start_of_line << "'";
            return "";
        }
    }
}

ProgramTest::ProgramTest() {
    std::string name = (std::filesystem::temp_directory_path() / "joinery-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
    // One thread runs.
    unsetenv("JOINERY_STORE");  // NOLINT(concurrency-mt-unsafe): as above.
}

ProgramTest::~ProgramTest() { std::filesystem::remove_all(folder_); }

Outcome ProgramTest::on(std::string_view store, Arguments arguments, std::string_view input) const {
    arguments.insert(arguments.begin(), {"--store", path(store)});
    return run_program(arguments, input);
}

std::string ProgramTest::output(std::string_view store,
                                Arguments arguments,
                                std::string_view input) const {
    const Outcome outcome = on(store, std::move(arguments), input);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return outcome.out.ends_with('\n') ? outcome.out.substr(0, outcome.out.size() - 1)
                                       : outcome.out;
}

void ProgramTest::write_file(std::string_view name, std::string_view text) const {
    std::ofstream(path(name), std::ios::binary) << text;
}

}  // namespace joinery::testing
