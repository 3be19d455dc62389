# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""Image layouts: images in a directory or a tar archive, as the OCI image specification lays them out.

Source: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""
