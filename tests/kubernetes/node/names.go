package main

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/dns/dnsmessage"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const domain = ".svc.cluster.local."

// newNamesCommand is the cluster's name server, as far as tests need one: NAME.NAMESPACE.svc.cluster.local
// is the cluster address of that Service, and nothing else has a name.
func newNamesCommand() *cobra.Command {
	var kubeconfig, listen string
	command := &cobra.Command{Use: "names", RunE: func(*cobra.Command, []string) error {
		return serveNames(kubeconfig, listen)
	}}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how the API server is reached")
	command.Flags().StringVar(&listen, "listen", "", "the UDP address to answer at")
	return command
}

func serveNames(kubeconfig, listen string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	known := informers.NewSharedInformerFactory(client, 10*time.Minute)
	services := known.Core().V1().Services().Lister()
	known.Start(context.Background().Done())
	known.WaitForCacheSync(context.Background().Done())
	socket, err := net.ListenPacket("udp", listen)
	if err != nil {
		return err
	}
	packet := make([]byte, 4096)
	for {
		length, from, err := socket.ReadFrom(packet)
		if err != nil {
			return err
		}
		if reply, err := answer(packet[:length], services); err == nil {
			_, _ = socket.WriteTo(reply, from)
		}
	}
}

func answer(packet []byte, services listers.ServiceLister) ([]byte, error) {
	var asked dnsmessage.Message
	if err := asked.Unpack(packet); err != nil {
		return nil, err
	}
	reply := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: asked.ID, Response: true, Authoritative: true, RecursionDesired: asked.RecursionDesired,
			RecursionAvailable: true, RCode: dnsmessage.RCodeNameError,
		},
		Questions: asked.Questions,
	}
	for _, question := range asked.Questions {
		address := addressOf(question.Name.String(), services)
		if address == nil {
			continue
		}
		reply.RCode = dnsmessage.RCodeSuccess
		if question.Type != dnsmessage.TypeA {
			continue
		}
		head := dnsmessage.ResourceHeader{
			Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 5,
		}
		reply.Answers = append(reply.Answers, dnsmessage.Resource{
			Header: head, Body: &dnsmessage.AResource{A: [4]byte(address)},
		})
	}
	return reply.Pack()
}

func addressOf(name string, services listers.ServiceLister) net.IP {
	short, found := strings.CutSuffix(strings.ToLower(name), domain)
	service, namespace, both := strings.Cut(short, ".")
	if !found || !both {
		return nil
	}
	known, err := services.Services(namespace).Get(service)
	if err != nil {
		return nil
	}
	return net.ParseIP(known.Spec.ClusterIP).To4()
}
