/// @file
/// From crdt/ to the model: changes by their names, and what a document's state holds in the words
/// of Model::detail().
#pragma once

#include "crdt/document.h"
#include "model/model.h"

#include <string>
#include <vector>

namespace joinery::model {

Change change_of(const crdt::Names& names, const crdt::Batch& batch, std::size_t index);
std::vector<Change> changes_of(const crdt::Names& names, const crdt::Batch& batch);

/// The counterpart of Model::detail(), read from the state of @p document. Checks each list's
/// invariants.
std::string detail_of(const crdt::Document& document);

}  // namespace joinery::model
