/// @file
/// Runs the real `joinery` as a user does: arguments in, exit status and output out.
#pragma once

#include <filesystem>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace joinery::testing {

using Arguments = std::vector<std::string>;

/// How a run ended.
struct Outcome {
    int status = -1;  ///< Exit status; 128 + the signal that ended it.
    std::string out, err;
};

/// A `joinery` that runs in the background; killed on destruction.
class Running {
  public:
    /// @param with_errors  Whether standard error is read by next_line() too; else it is dropped.
    explicit Running(const Arguments& arguments, bool with_errors = false);
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running();

    /// The next line of its output; none at its end, or after 30 s without one.
    std::optional<std::string> next_line();
    /// The rest of the first line that starts with @p start; fails the test without one.
    std::string wait_for(std::string_view start);
    /// Sends @p signal, without waiting for what it does.
    void signal(int signal) const;
    /// Sends @p signal and waits; the exit status as in Outcome.
    int end(int signal);

  private:
    pid_t process_ = -1;
    int from_ = -1;
    std::string buffer_;
};

/// Runs `joinery` to its end, with @p input on standard input.
Outcome run_program(const Arguments& arguments, std::string_view input = {});

/// Runs @p script in a shell that finds `joinery`.
Outcome run_shell(const std::string& script);

/// A test with a folder of its own, which goes with it, and no $JOINERY_STORE.
class ProgramTest : public ::testing::Test {
  protected:
    ProgramTest();
    ~ProgramTest() override;

    std::string path(std::string_view name) const { return (folder_ / name).string(); }
    /// Runs with `--store` of that name in the folder.
    Outcome on(std::string_view store, Arguments arguments, std::string_view input = {}) const;
    /// The output of a run that must succeed, without its last line end.
    std::string output(std::string_view store,
                       Arguments arguments,
                       std::string_view input = {}) const;
    void write_file(std::string_view name, std::string_view text) const;

    std::filesystem::path folder_;
};

}  // namespace joinery::testing
