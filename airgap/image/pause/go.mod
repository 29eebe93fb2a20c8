module krustlet-stack/airgap/pause

go 1.26.0
