# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------

"""The help of the commands."""

from knack.help_files import helps

helps["acrx"] = """
type: group
short-summary: Import images into container registries, also from and to where the service cannot reach.
"""

helps["acrx import"] = """
type: command
short-summary: Import images into a container registry, by the service or by a copy from this machine.
long-summary: >-
    Takes the arguments of `az acr import`. Reads the network settings of both registries, says which route it takes
    and why, and takes it: the service where it can reach both registries, else a copy from here, which needs no
    Docker and no disk. Run it again after any failure: what is there is not moved twice.
examples:
  - name: Import an image from another registry. It keeps its repository and tag.
    text: az acrx import -n myregistry --source sourceregistry.azurecr.io/app:v1
  - name: Import a public image from Docker Hub under another name, and a second one.
    text: az acrx import -n myregistry --source docker.io/library/hello-world:latest -t samples/hello:v1 -t hello:latest
  - name: Import an image by its digest.
    text: az acrx import -n myregistry --source mcr.microsoft.com/app@sha256:DIGEST -t app:v1
  - name: Import an image from a registry in another subscription, by its name, login server or resource ID.
    text: az acrx import -n myregistry --source app:v1 -r SourceRegistryResourceId
  - name: Import from a private registry, with a password that no list of processes shows.
    text: az acrx import -n myregistry --source registry.contoso.com/app:v1 -u MyUser -p @password.txt
  - name: Import from a registry of another tenant that you are a guest in, without a password.
    text: az acrx import -n myregistry --source partnerregistry.azurecr.io/app:v1 --source-identity cli:fabrikam.com
  - name: Import what was carried in as an archive.
    text: az acrx import -n myregistry --source oci-archive:app.tar -t app:v1
  - name: Import with signatures, SBOMs and attestations, overwriting the tag.
    text: az acrx import -n myregistry --source sourceregistry.azurecr.io/app:v1 --referrers --force
  - name: Import one platform only.
    text: az acrx import -n myregistry --source docker.io/library/nginx:1.27 --platform linux/arm64
  - name: Import the three newest versions in a range, below a name of their own.
    text: >-
        az acrx import -n myregistry --source docker.io/library/nginx --semver ">=1.25 <2" --latest 3
        --image "mirror/{name}:{tag}"
  - name: See what a list would import, and by which route.
    text: az acrx import --from-file images.yaml --dry-run --output table
  - name: Import the second of four parts of a list, on the second of four machines.
    text: az acrx import --from-file images.yaml --shard 2/4
  - name: Copy over a bad link, for half an hour at most. The next run goes on from there.
    text: az acrx import -n myregistry --source registry.corp:5000/app:v1 --retries 20 --timeout 30m
  - name: Copy an image from this machine, whatever the network settings say.
    text: az acrx import -n myregistry --source sourceregistry.azurecr.io/app:v1 --via local
"""

helps["acrx check"] = """
type: command
short-summary: See whether an import would get through, by which route, and what stands in the way.
long-summary: >-
    Looks at the target, and at the source if one is named, from this machine and in Azure Resource Manager: what can
    be reached, with which rights, and what the service can reach. Changes nothing anywhere. The exit code is 0 where
    an import would get through by some route, and 1 where it would not; what fails is told with the command that
    mends it.
examples:
  - name: See whether images can be imported into a registry at all.
    text: az acrx check -n myregistry --output table
  - name: See whether this image can be imported. One byte of it is read.
    text: az acrx check -n myregistry --source sourceregistry.azurecr.io/app:v1 --output table
  - name: See whether a registry can be reached, without an image.
    text: az acrx check -n myregistry --source docker.io
  - name: Try the credentials of a private registry.
    text: az acrx check -n myregistry --source registry.contoso.com/app:v1 -u MyUser -p @password.txt
"""
