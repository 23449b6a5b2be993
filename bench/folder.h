/// @file
/// Stores for workloads: a directory that goes with its owner, and a peer on one.
#pragma once

#include "bench/measure.h"
#include "joinery/peer.h"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

namespace joinery::bench {

/// A directory that goes with it.
class Folder {
  public:
    explicit Folder(const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
        std::string name = (parent / "joinery-bench-XXXXXX").string();
        check(mkdtemp(name.data()) != nullptr, "temporary folder");
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

inline std::unique_ptr<Peer> open_peer(const std::filesystem::path& path) {
    auto store = open_store(path);
    check(store.has_value(), "store");
    Options options;
    options.authorize = let_everybody_in;
    auto peer = Peer::open(*std::move(store), std::move(options));
    check(peer.has_value(), "peer");
    return *std::move(peer);
}

}  // namespace joinery::bench
