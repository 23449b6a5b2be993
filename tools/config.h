/// @file
/// The file of `joinery peer --config`: TOML, each field of Options and what the command line says.
#pragma once

#include "tools/commands.h"

#include <string>

namespace joinery::tools {

/// What --help says of it: every key, with its default.
extern const char* const kConfigHelp;

/// Reads the file @p name into @p arguments and @p options. What @p arguments held is kept: lists
/// grow, and a name or --open that was given stands.
///
/// @return False, with the line and what is wrong with it printed, for a file that cannot be read,
///         is no TOML, has a key that is not known, or a value that is not within its limits.
bool read_config(const std::string& name, PeerArguments& arguments, Options& options);

}  // namespace joinery::tools
