/// @file
/// What changed in the view since State::set_recording(true), as steps that turn the view before
/// into the view now.
#pragma once

#include "base/plain.h"
#include "crdt/document.h"

#include <string>
#include <vector>

namespace joinery::crdt {

enum class PatchKind : std::uint8_t { add, remove, replace };

/// One step: an RFC 6902 operation. Indices are those of the moment of the step.
struct PatchStep {
    PatchKind kind = PatchKind::replace;
    std::string path;  ///< A JSON Pointer.
    Plain value;       ///< Not for remove.
};

/// Appends @p token to the JSON Pointer @p path, escaped.
void append_path_token(std::string& path, std::string_view token);

/// The steps for all that State::touched() names; the caller clears that afterwards.
/// @par Cost
/// O(touched slots) and what their values are long.
///
/// @param live  What Document::touch_live() gave.
std::vector<PatchStep> patches_of(const Document& document, std::span<const LiveTouch> live = {});

}  // namespace joinery::crdt
