/// @file
/// JSON Patch (RFC 6902) on plain data, as naively as the RFC reads: the oracle for the patches
/// that a document delivers.
#pragma once

#include "base/plain.h"
#include "joinery/document.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::test {

/// The unescaped tokens of a JSON Pointer.
inline std::vector<std::string> pointer_tokens(std::string_view path) {
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (path[i] == '/') {
            tokens.emplace_back();
        } else if (path[i] == '~' && i + 1 < path.size()) {
            tokens.back().push_back(path[++i] == '0' ? '~' : '/');
        } else {
            tokens.back().push_back(path[i]);
        }
    }
    return tokens;
}

/// Applies @p patch to the target inside @p parent that @p token names; false where RFC 6902 says
/// that this is an error.
inline bool apply_to_object(PlainObject& parent, const std::string& token, const Patch& patch) {
    const auto at = std::ranges::lower_bound(
        parent, token, {}, [](const auto& member) { return member.first; });
    const bool is_there = at != parent.end() && at->first == token;
    if (patch.kind == Patch::Kind::add && !is_there) {
        parent.emplace(at, token, patch.value);
        return true;
    }
    if (!is_there) return false;
    if (patch.kind == Patch::Kind::remove) {
        parent.erase(at);
    } else {
        at->second = patch.value;
    }
    return true;
}

inline bool apply_to_array(PlainArray& parent, const std::string& token, const Patch& patch) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
    if (error != std::errc() || end != token.data() + token.size()) return false;
    const bool is_add = patch.kind == Patch::Kind::add;
    if (index > parent.size() || (!is_add && index == parent.size())) return false;
    const auto at = parent.begin() + static_cast<std::ptrdiff_t>(index);
    switch (patch.kind) {
        case Patch::Kind::add: parent.insert(at, patch.value); break;
        case Patch::Kind::remove: parent.erase(at); break;
        case Patch::Kind::replace: *at = patch.value; break;
    }
    return true;
}

/// False where the patch does not fit @p root.
inline bool apply_patch(Plain& root, const Patch& patch) {
    const std::vector<std::string> tokens = pointer_tokens(patch.path);
    if (tokens.empty()) {
        if (patch.kind == Patch::Kind::remove) return false;
        root = patch.value;
        return true;
    }
    Plain* at = &root;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
        if (at->is_object()) {
            auto& members = std::get<PlainObject>(at->data);
            const auto found = std::ranges::find(
                members, tokens[i], [](const auto& member) { return member.first; });
            if (found == members.end()) return false;
            at = &found->second;
        } else if (at->is_array()) {
            auto& elements = std::get<PlainArray>(at->data);
            std::size_t index = 0;
            std::from_chars(tokens[i].data(), tokens[i].data() + tokens[i].size(), index);
            if (index >= elements.size()) return false;
            at = &elements[index];
        } else {
            return false;
        }
    }
    if (at->is_object()) {
        return apply_to_object(std::get<PlainObject>(at->data), tokens.back(), patch);
    }
    if (at->is_array()) {
        return apply_to_array(std::get<PlainArray>(at->data), tokens.back(), patch);
    }
    return false;
}

}  // namespace joinery::test
