// Package browsertest drives the site in examples/web with a headless Chromium. It has
// tests alone. They need Chromium, as chromium in PATH or by CHROMIUM, and for htmx its
// packages (npm ci).
package browsertest
