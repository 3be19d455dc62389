# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""What ``azdev test acrimport`` runs: the command in a real CLI, as far as it goes without Azure."""

from __future__ import annotations

import contextlib
import io
import unittest

from azure.cli.core import get_default_cli


def invoke(*arguments: str) -> tuple[int, str]:
    """Run a command of the CLI in this process: its exit code, and what it wrote to stdout."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        try:
            code = get_default_cli().invoke(list(arguments))
        except SystemExit as ex:  # as argparse ends, and help
            code = int(ex.code or 0)
    return code, out.getvalue()


class AcrimportTest(unittest.TestCase):
    """The extension is found, and reads its arguments."""

    def test_help_shows_the_command_and_its_options(self) -> None:
        code, out = invoke("acrx", "import", "--help")

        self.assertEqual(code, 0)
        for expected in ("az acrx import", "--source", "--via", "Examples"):
            self.assertIn(expected, out)

    def test_the_group_lists_its_commands(self) -> None:
        code, out = invoke("acrx", "--help")

        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^\s+import\s")

    def test_what_is_missing_is_named(self) -> None:
        with self.assertLogs("cli", "ERROR") as said:
            code, _ = invoke("acrx", "import", "--source", "docker.io/library/hello-world:latest")

        self.assertEqual(code, 1)
        self.assertIn("--name", said.output[0])

    def test_bad_values_are_refused_before_anything_is_asked_of_azure(self) -> None:
        with self.assertLogs("cli", "ERROR") as said:
            code, _ = invoke("acrx", "import", "--name", "target", "--source", "app:v1", "--timeout", "soon")

        self.assertEqual(code, 1)
        self.assertIn("--timeout is 'soon'", said.output[0])


if __name__ == "__main__":
    unittest.main()
