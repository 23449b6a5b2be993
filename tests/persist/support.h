/// @file
/// What the tests of persist/ share: temporary directories, seeded randomness, children, and stores
/// of both kinds behind one interface.
#pragma once

#include "base/env.h"
#include "base/store.h"
#include "persist/lmdb_store.h"
#include "persist/memory_store.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <signal.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace joinery::persist::test {

/// Fails the test, with the Error, unless @p expr has a value.
#define JOINERY_ASSERT_OK(expr)                                                       \
    do {                                                                              \
        const auto& joinery_ok = (expr);                                              \
        ASSERT_TRUE(joinery_ok.has_value())                                           \
            << errc_name(joinery_ok.error().code) << ": " << joinery_ok.error().what; \
    } while (false)

/// The code of an Error; fails the test if @p result has a value.
template <class T>
std::string code_of(const Result<T>& result) {
    return result ? "success" : std::string(errc_name(result.error().code));
}

inline std::string text_of(ByteView bytes) { return std::string(as_text(bytes)); }

/// Random bytes from a seed: not unguessable, but the same every run.
class SeededRandom final : public Random {
  public:
    explicit SeededRandom(std::uint64_t seed = 1) : engine_(seed) {}
    void fill(std::span<std::uint8_t> out) override {
        for (std::uint8_t& byte : out)
            byte = static_cast<std::uint8_t>(engine_());
    }

  private:
    std::mt19937_64 engine_;
};

/// A word from one process to another that waits for it.
class Signal {
  public:
    Signal() {
        if (::pipe(ends_) != 0) std::abort();
    }
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;
    ~Signal() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    void give() const {
        if (::write(ends_[1], "x", 1) != 1) std::abort();
    }
    void await() const {
        char byte = 0;
        if (::read(ends_[0], &byte, 1) != 1) ::_exit(97);
    }

  private:
    int ends_[2] = {-1, -1};
};

/// An empty directory, in memory where the system offers that, gone with this object.
class TempDir {
  public:
    TempDir() {
        const bool shm = ::access("/dev/shm", W_OK) == 0;
        std::string name = shm ? "/dev/shm/joinery-XXXXXX" : "/tmp/joinery-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        path_ = name;
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() {
        std::error_code error;
        std::filesystem::remove_all(path_, error);
    }

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

inline std::string read_whole(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Replaces the content of a file and keeps its inode.
inline void write_whole(const std::filesystem::path& path, std::string_view content) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
}

/// Small stores: maps that a sanitizer bears, and no regard to how full the machine's disk is.
inline LmdbOptions test_options() {
    LmdbOptions out;
    out.map_size = 256U << 20U;
    out.free_size_min = 0;
    return out;
}

inline Result<void> put_one(Store& store,
                            Table table,
                            std::string_view key,
                            std::string_view value) {
    JOINERY_TRY(const auto writer, store.write());
    JOINERY_TRY_VOID(writer->put(table, as_bytes(key), as_bytes(value)));
    return writer->commit();
}

inline Result<std::optional<std::string>> get_one(Store& store, Table table, std::string_view key) {
    JOINERY_TRY(const auto reader, store.read());
    JOINERY_TRY(const auto value, reader->get(table, as_bytes(key)));
    if (!value) return std::optional<std::string>();
    return std::optional<std::string>(text_of(*value));
}

using Model = std::map<std::string, std::string>;

/// All records of a table, by scanning forwards.
inline Result<Model> scan(StoreReader& reader, Table table) {
    Model out;
    std::string from;
    for (;;) {
        JOINERY_TRY(const auto record, reader.first_at_or_after(table, as_bytes(from)));
        if (!record) return out;
        out.emplace(text_of(record->key), text_of(record->value));
        from = text_of(record->key) + '\0';
    }
}

inline Result<Model> scan(Store& store, Table table) {
    JOINERY_TRY(const auto reader, store.read());
    return scan(*reader, table);
}

/// A forked child that runs @p body with the write end of a pipe, and is killed with this object.
/// Fork before any store is open.
class Child {
  public:
    explicit Child(const std::function<void(int)>& body) {
        int ends[2] = {-1, -1};
        if (::pipe(ends) != 0) std::abort();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(ends[0]);
            body(ends[1]);
            ::_exit(0);
        }
        ::close(ends[1]);
        read_end_ = ends[0];
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        kill_hard();
        ::close(read_end_);
    }

    /// The next number that the child reported; none once it is gone.
    std::optional<std::uint64_t> next_report() {
        std::uint64_t number = 0;
        const auto got = ::read(read_end_, &number, sizeof number);
        if (got != static_cast<::ssize_t>(sizeof number)) return std::nullopt;
        return number;
    }
    void kill_hard() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        wait();
    }
    /// The exit status, or minus the signal.
    int wait() {
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

    static void report(int pipe, std::uint64_t number) {
        if (::write(pipe, &number, sizeof number) != static_cast<::ssize_t>(sizeof number)) {
            ::_exit(99);
        }
    }

  private:
    ::pid_t pid_ = -1;
    int read_end_ = -1;
};

/// A place where stores of one kind are opened.
class Backend {
  public:
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    virtual ~Backend() = default;
    virtual Result<std::unique_ptr<Store>> open() = 0;
};

class LmdbBackend final : public Backend {
  public:
    Result<std::unique_ptr<Store>> open() override {
        return open_lmdb_store(dir_ / "store", test_options(), random_);
    }

  private:
    TempDir dir_;
    SeededRandom random_;
};

class MemoryBackend final : public Backend {
  public:
    Result<std::unique_ptr<Store>> open() override { return open_memory_store(disk_, random_); }

  private:
    MemoryDisk disk_;
    SeededRandom random_;
};

inline std::unique_ptr<Backend> make_backend(std::string_view kind) {
    if (kind == "lmdb") return std::make_unique<LmdbBackend>();
    return std::make_unique<MemoryBackend>();
}

}  // namespace joinery::persist::test
