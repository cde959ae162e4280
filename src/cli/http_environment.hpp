// What commands that talk to a server take from the environment and the command line: proxies, the
// address, the API key.
#pragma once

#include <string>

#include "cli/environment.hpp"
#include "core/secret.hpp"
#include "http/client.hpp"

namespace tacit::cli {

http::ClientOptions http_options(const Environment& environment);

// The address as it is compared and pinned: with a scheme (https if not said), without a slash at
// the end.
std::string server_url(std::string given);

// The key in `file`, or TACIT_API_KEY when no file is named; may be empty. Errors: as
// store::read_file.
Result<SecretText> api_key(const Environment& environment, const std::string& file);

}  // namespace tacit::cli
