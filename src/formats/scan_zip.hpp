// Zip archives, looked at for what they hide. Private to this module.
#pragma once

#include <string_view>

#include "core/bytes.hpp"
#include "formats/scan.hpp"

namespace tacit::formats {

ScanReport scan_zip(BytesView bytes, std::string_view name);

}  // namespace tacit::formats
