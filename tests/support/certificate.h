/// @file
/// A certificate for this machine's loopback, made by the test that uses it.
#pragma once

#include <filesystem>
#include <string>

namespace joinery::test {

/// Files in PEM, in a folder that goes with it: a certificate for 127.0.0.1 and localhost, signed
/// by its own key, and so its own authority.
class Certificate {
  public:
    Certificate();
    Certificate(const Certificate&) = delete;
    Certificate& operator=(const Certificate&) = delete;
    ~Certificate();

    std::string file() const { return (folder_ / "cert.pem").string(); }
    std::string key_file() const { return (folder_ / "key.pem").string(); }

  private:
    std::filesystem::path folder_;
};

}  // namespace joinery::test
