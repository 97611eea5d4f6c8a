package main

import (
	"testing"

	"github.com/clerkauth/clerkauth/internal/example/exampletest"
)

func TestProgram(t *testing.T) { exampletest.Run(t, program, 13) }
