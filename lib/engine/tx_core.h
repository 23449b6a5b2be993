/// @file
/// Paths: from JSON Pointers to slots, and the verbs of Tx on them.
#pragma once

#include "crdt/transaction.h"
#include "joinery/document.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::detail {

/// The tokens of a JSON Pointer, unescaped. `malformed` unless empty or starting with '/'.
Result<std::vector<std::string>> parse_path(std::string_view path);
/// Appends "/" and @p token, escaped.
void append_token(std::string& path, std::string_view token);
/// The list index that @p token spells: digits without leading zero; nullopt for others.
std::optional<std::size_t> parse_index(std::string_view token);

/// What is at @p path of @p document; `not_found` if nothing is.
Result<Plain> read_path(const crdt::Document& document,
                        std::string_view path,
                        Lanes lanes = Lanes::all);

/// The container in which the last of @p tokens, one at least, names a slot.
Result<crdt::ContainerIndex> path_parent(const crdt::Document& document,
                                         const std::vector<std::string>& tokens);

/// The puts at @p path that are visible and not shown, the greatest first; `not_found` if nothing
/// is there.
Result<std::vector<Alternative>> path_alternatives(const crdt::Document& document,
                                                   std::string_view path);

/// The changes that wrote what is shown at and beneath @p path, each once, by chain and seq;
/// `not_found` if nothing is there. What was erased there has left no trace.
Result<std::vector<crdt::Dependency>> path_writers(const crdt::Document& document,
                                                   std::string_view path);

/// A slot that may be empty: a container with its key or element.
struct SlotRef {
    crdt::ContainerIndex container = crdt::kRoot;
    std::uint32_t key = 0;
};

class TxCore {
  public:
    explicit TxCore(crdt::Transaction& transaction) noexcept : transaction_(transaction) {}

    Result<void> set(std::string_view path, const Plain& value, const SetOptions& options);
    Result<void> erase(std::string_view path);
    Result<void> increment(std::string_view path, std::int64_t delta);
    Result<void> insert(std::string_view path, const Plain& value);
    Result<void> move(std::string_view from, std::string_view to);
    Result<Plain> read(std::string_view path) const;

  private:
    /// The container in which the last token of @p tokens names a slot.
    Result<crdt::ContainerIndex> parent_of(const std::vector<std::string>& tokens) const;
    Result<SlotRef> resolve(std::string_view path);

    crdt::Transaction& transaction_;
};

}  // namespace joinery::detail
