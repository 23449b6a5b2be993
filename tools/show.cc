#include "joinery/json.h"
#include "tools/common.h"

namespace joinery::tools {
namespace {

int print_value(const Common& common, const ShowArguments& arguments, Lanes lanes, bool indented) {
    const auto version = read_version(arguments.at.empty() ? "head" : arguments.at);
    if (!version) return kFailed;
    const Subject subject{arguments.document, arguments.path};
    return with_document(common, subject, false, [&](Peer&, Document& document) -> Result<void> {
        // Earlier versions have no live values.
        JOINERY_TRY(const Plain value,
                    version->form == Version::Form::head
                        ? document.read(arguments.path, lanes)
                        : document.read_at(*version, arguments.path));
        JsonStyle style;
        if (indented) style.indent = 2;
        JOINERY_TRY(const std::string text, print_json(value, style));
        print_line(text);
        return {};
    });
}

}  // namespace

int run_show(const Common& common, const ShowArguments& arguments) {
    return print_value(common, arguments, Lanes::all, !common.json);
}

int run_export(const Common& common, const ShowArguments& arguments) {
    return print_value(common, arguments, arguments.live ? Lanes::all : Lanes::logged, false);
}

}  // namespace joinery::tools
