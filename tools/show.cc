#include "joinery/json.h"
#include "tools/common.h"

namespace joinery::tools {
namespace {

Result<Plain> read_version(Document& document, const ShowArguments& arguments) {
    if (arguments.at.empty()) return document.read(arguments.path);
    JOINERY_TRY(const Version version, Version::parse(arguments.at));
    return document.read_at(version, arguments.path);
}

int print_value(const Common& common, const ShowArguments& arguments, bool indented) {
    return with_document(
        common, arguments.document, false, [&](Peer&, Document& document) -> Result<void> {
            JOINERY_TRY(const Plain value, read_version(document, arguments));
            JsonStyle style;
            if (indented) style.indent = 2;
            JOINERY_TRY(const std::string text, print_json(value, style));
            print_line(text);
            return {};
        });
}

}  // namespace

int run_show(const Common& common, const ShowArguments& arguments) {
    return print_value(common, arguments, !common.json);
}

int run_export(const Common& common, const ShowArguments& arguments) {
    return print_value(common, arguments, false);
}

}  // namespace joinery::tools
