module krustlet-stack/airgap/oci-runtime

go 1.26.0
