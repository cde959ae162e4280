#include "cli/app.hpp"

int main(int argc, char** argv) { return tacit::cli::run_app(argc, argv); }
