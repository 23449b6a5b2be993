/// @file
/// Golden bytes of formats that are read forever: files of lines "name hex" in tests/vectors.
#pragma once

#include "base/bytes.h"

#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <string>

namespace joinery::test {

/// The bytes of one file, by name.
class Vectors {
  public:
    /// @p file  As "store-1/files.hex".
    explicit Vectors(const std::string& file) {
        std::ifstream in(JOINERY_VECTORS "/" + file);
        std::string name, hex;
        while (in >> name >> hex)
            hex_[name] = hex;
        EXPECT_FALSE(hex_.empty()) << "no vectors in " << file;
    }
    std::size_t size() const { return hex_.size(); }
    /// Fails the test, showing the line that would be right, unless @p bytes are those of @p name.
    void expect(const std::string& name, ByteView bytes) const {
        const auto at = hex_.find(name);
        if (at != hex_.end() && at->second == to_hex(bytes)) return;
        ADD_FAILURE() << "not the vector:\n" << name << " " << to_hex(bytes);
    }
    /// The bytes of @p name; fails the test if there are none.
    Bytes at(const std::string& name) const {
        const auto found = hex_.find(name);
        const std::string hex = found == hex_.end() ? std::string() : found->second;
        Bytes out(hex.size() / 2);
        EXPECT_TRUE(!hex.empty() && parse_hex(hex, out)) << "no vector " << name;
        return out;
    }

  private:
    std::map<std::string, std::string> hex_;
};

}  // namespace joinery::test
