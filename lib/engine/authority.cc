#include "joinery/authority.h"

namespace joinery {

std::string authority_id(std::string_view name, const DeviceKey& device) {
    return std::string(name) + "@" + to_hex(device.view());
}

std::optional<DeviceKey> authority_of(std::string_view document_id) {
    constexpr std::size_t kDigits = 2 * DeviceKey::kSize;
    if (document_id.size() < kDigits + 2) return std::nullopt;
    const std::string_view digits = document_id.substr(document_id.size() - kDigits);
    const bool is_lower = digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (document_id[document_id.size() - kDigits - 1] != '@' || !is_lower) return std::nullopt;
    DeviceKey device;
    if (!parse_hex(digits, device.bytes)) return std::nullopt;
    return device;
}

}  // namespace joinery
