// HTTP settings from the environment: proxies.
#pragma once

#include "cli/environment.hpp"
#include "http/client.hpp"

namespace tacit::cli {

http::ClientOptions http_options(const Environment& environment);

}  // namespace tacit::cli
