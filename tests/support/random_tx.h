/// @file
/// Random edits as an app makes them: by path, through Tx.
#pragma once

#include "joinery/document.h"
#include "support/dice.h"

#include <string>

namespace joinery::test {

/// Makes 1 to 4 random edits with @p tx, now and then one that cannot be. An Error that no edit
/// should meet is passed on; one in 30 calls fails with `conflict` at the end, so that the
/// transaction is undone.
Result<void> edit_randomly(Dice& dice, Tx& tx);

/// A scalar of any type, or a nested value of at most @p depth levels.
Plain random_plain(Dice& dice, int depth);

}  // namespace joinery::test
